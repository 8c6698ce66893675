"""Notes on examples: what reading converted, or what is odd without closing a gate; problems.csv lists each."""

from typing import Any

from recipe.problems import NOTE, problem_row

# A note is its kind, or "kind: details". NOTES: {kind: (what was done, what to do)}
LOST = "If this loses what distinguishes the classes, store the pictures in the form in which the net needs them."
BIAS = "Nothing, unless it is associated with the label: then it is a bias."
COLOURS = ("CMYK", "YCbCr", "LAB", "HSV", "PA", "RGBX", "RGBa", "La")
NOTES = {
    **{f"{mode} to RGB": ("Converted by Pillow, without a colour profile.", LOST) for mode in COLOURS},
    "palette to RGB": ("Each number was replaced by its colour in the palette.", BIAS),
    "1 bit to grey": ("0 became 0, 1 became 255.", BIAS),
    "true and false to grey": ("False became 0, true became 255.", BIAS),
    "16 bit grey to 0..1": ("All 16 bits are kept, as a float.", BIAS),
    "16 bit colour to 0..1": ("All 16 bits are kept, as a float.", BIAS),
    "16 bits read as 8": (
        "The lower 8 bits of every value are lost.",
        "Store it as PNG, of which all 16 bits are read.",
    ),
    "beyond the range": ("They became 0 or 1.", "Widen `value_range` in conf/data/ if they matter."),
    "alpha composited on white": (
        "Where it is transparent, white shows.",
        "Draw it on the background that the net should see.",
    ),
    "opaque alpha dropped": ("Every pixel is opaque: nothing was lost.", BIAS),
    "alpha left out": ("The last channel was removed.", LOST),
    "colour to grey": ("Red, green and blue were weighted by 0.299, 0.587 and 0.114.", LOST),
    "grey as three equal channels": ("The grey channel was copied twice.", BIAS),
    "enlarged": ("Pixels were interpolated: it is smaller than the net's input.", "Choose a smaller `size`."),
    "rotated by EXIF": ("It was rotated upright, by the camera's note.", BIAS),
    "unknown EXIF orientation": ("It was not rotated.", "Look at it: is it upright?"),
    "EXIF cannot be read": ("It was not rotated.", "Look at it: is it upright?"),
    "wrong ending": ("It was read by its content.", "Rename it: other programs rely on the ending."),
    "odd name": ("It was read nevertheless.", "Rename it."),
    "trailing bytes": ("The bytes after the picture were not read.", "If there are many, find out what they are."),
    "no IEND": ("All pixels are there.", "Copy it again: the last bytes of the file are missing."),
    "odd JPEG header, so damage was not looked for": ("It was decoded by Pillow.", "Look at it, or save it again."),
    "the largest of several sizes": ("The other sizes were not read.", BIAS),
    "the first of several pictures (MPO)": (
        "The others were not read; they are mostly a preview or a depth map.",
        BIAS,
    ),
    "odd shape": ("It was fitted like all others.", "Look at it: a strip or a few pixels show hardly anything."),
    "flat": ("It was read unchanged.", "Look at it: there is hardly anything to see. It may be a failed scan."),
    "one grey below": (
        "It was read unchanged.",
        "Look at it: a truncated file looks like this. Copy or download it again.",
    ),
    "invalid characters": ("They were written as escapes.", "Correct the text's encoding at the source."),
}
USER_DEFINED = ("By the data set's own function.", BIAS)


def kind_of(note: str) -> str:
    return note.partition(": ")[0]


def problem_row_of(note: str, name: str, index: int) -> dict[str, Any]:
    """The row of problems.csv for a note on an example with this name and index in its source."""
    kind, _, details = note.partition(": ")
    done, hint = NOTES.get(kind, USER_DEFINED)
    return problem_row(NOTE, index, name, kind, f"{details}. {done}" if details else done, hint)
