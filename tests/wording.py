"""What no sentence for a reader may hold: private words, and effects without their direction, level or unit."""

import re

NUMBER = r"[+\-−]?\d[\d,]*(?:\.\d+)?(?:e[+\-]?\d+)?"
DIRECTION = (
    r"(?:lower|higher|less|more|fewer|better|worse|larger|smaller|fell|fall|rose|rise|drop|dropped|improve|improved|"
    r"reduce|reduced|raise|raised)s?"
)
LEVEL = re.compile(r"\d ?% ?(?:CI|confidence|intervals?|t-interval|prediction interval|bootstrap|Wilson|for\b)", re.I)
UNIT = r"(?: ?(?:%|points?|nats|accuracy))?"
NO_LEVEL = (
    # an estimate with two numbers behind it: 0.012 [0.004, 0.021], -0.5 points (-1.4 to 0.4, n = 1,200)
    rf"{NUMBER}{UNIT},? ?[\[(]{NUMBER}{UNIT} ?(?:to|,|–|\.\.)\s*{NUMBER}{UNIT}(?=[\]),;])",
    rf"\[[+\-−]{NUMBER[8:]},? ?(?:to )?{NUMBER}\]",  # signed numbers in brackets: [+0.0043, +0.0212]
    rf"\bbetween {NUMBER}{UNIT} and {NUMBER}{UNIT}",
    rf"\binterval (?:of )?[\[(]?{NUMBER}",
)
PATTERNS = {
    "a signed number after a word of direction": (
        rf"\b{DIRECTION}(?: [\w'-]+){{0,4}}? by (?:about |only |a further )?[+\-−]\d",
        rf"\b{DIRECTION},? [+\-−]\d",
    ),
    "a refused word": (
        r"\b(?:told|said|asked|stands?|whence)\b",
        r"(?<!\b[Tt]here )\bis no\b(?! longer| more)",
        r"\bof (?:its|their|his|her|one's) own\b",
        r"\bby (?:itself|themselves)\b",
        r"\bspeaks? for\b",
        r"\bwhat (?:it|they) wants?\b",
        r"\b[Nn]o \w+ alone\b",
        r"\b(?:[Aa]|[Tt]he) person's own\b|\b[Tt]he person\b",
        r"\b(?:the|a|its|their|of) found\b(?! to| in| by)",
    ),
}


def refused(text: str) -> list[str]:
    """`reason: words` for every place of a text that a reader should not meet."""
    places = [
        f"{reason}: {match[0]}"
        for reason, patterns in PATTERNS.items()
        for pattern in patterns
        for match in re.finditer(pattern, text)
    ]
    for match in (match for pattern in NO_LEVEL for match in re.finditer(pattern, text)):
        if re.search(r"[(]\d+ to \d+$", match[0]):  # whole numbers: the range of values, as 0 to 255
            continue
        around = text[max(0, match.start() - 60) : match.end() + 40]
        if not LEVEL.search(around):
            places.append(f"an interval without its level: {match[0]}")
    return places
