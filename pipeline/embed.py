"""Embed: what does a pretrained network make of every example? Computed once, for all trainings.

Reads   runs/prepare/ (the store), the weights that `model.weights` names; resolved/backbone.json has their hash
Writes  runs/embed/features/{backbone.json,values.npy,backbone.safetensors,*.png}, report.json
"""

from recipe.config.instantiate import backbone_of, plain
from recipe.data.store import Store
from recipe.sources.source_files import require_same_weights
from recipe.stages.embed import checks
from recipe.stages.embed.embed import NOTHING, embed
from recipe.stages.runner import Report, stage
from recipe.verdict import checks_of


@stage("embed", checks_of(checks))
def main(cfg, run):
    model = backbone_of(plain(cfg, "model"))
    embedded = embed(Store.open(plain(cfg, "data")), model, run)
    verdicts = run.judge(checks, embedded)
    if not model:
        return Report({"features": 0}, verdicts, summary=NOTHING)
    from recipe.stages.embed import captions  # imports torch

    if run.in_dvc:
        require_same_weights(model)
    return Report(
        captions.metrics(embedded), verdicts, evidence=captions.EVIDENCE,
        figures=captions.draw(embedded, Store.open(plain(cfg, "data")), run.out), summary=captions.summary(embedded),
        findings=captions.findings(embedded),
    )  # fmt: skip


if __name__ == "__main__":
    main()
