"""The stage `embed`: the features of a pretrained network, computed once."""
