"""What reading changed about an example, or what is odd in it without closing a gate; problems.csv lists each."""

from recipe.problems import NOTE, problem_row

# A note is its kind, or "kind: what exactly"; kind: (what was done, what to do).
LOST = "Store the pictures as the net is to see them, if this loses what tells the classes apart."
BIAS = "Nothing, unless it goes with the label: then it is a bias."
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
        "Store it as PNG, of which all 16 are read.",
    ),
    "beyond the range": ("They became 0 or 1.", "Widen `value_range` in conf/data/ if they are meant."),
    "alpha composited on white": (
        "Where it is transparent, white shows.",
        "Draw it on the background that the net is to see.",
    ),
    "opaque alpha dropped": ("Every pixel is opaque: nothing was lost.", BIAS),
    "alpha left out": ("The last channel was cut off.", LOST),
    "colour to grey": ("Red, green and blue were weighed by 0.299, 0.587 and 0.114.", LOST),
    "grey as three equal channels": ("The grey is there three times.", BIAS),
    "enlarged": ("Pixels were interpolated: it is smaller than what enters the net.", "Choose a smaller `size`."),
    "rotated by EXIF": ("It was turned upright, as its camera noted.", BIAS),
    "unknown EXIF orientation": ("It was not turned.", "Look at it: is it upright?"),
    "EXIF cannot be read": ("It was not turned.", "Look at it: is it upright?"),
    "wrong ending": ("It was read by its content.", "Rename it: other programs go by the ending."),
    "odd name": ("It was read all the same.", "Rename it."),
    "trailing bytes": ("The bytes behind the picture were not read.", "Look at what they are, if there are many."),
    "no IEND": ("All pixels are there.", "Copy it again: the last bytes of the file are missing."),
    "odd JPEG header, so damage was not looked for": ("It was decoded by Pillow.", "Look at it, or store it anew."),
    "the largest of several sizes": ("The other sizes were not read.", BIAS),
    "the first of several pictures (MPO)": ("The others were not read: most often a preview or a depth map.", BIAS),
    "odd shape": ("It was fitted like all others.", "Look at it: a strip, or a few pixels, shows hardly anything."),
    "flat": ("It was read as it is.", "Look at it: there is hardly anything to see. It may be a failed scan."),
    "one grey below": ("It was read as it is.", "Look at it: a file that was cut looks so. Copy or download it again."),
    "letters that are no text": ("They were written as escapes.", "Correct the text's encoding at the source."),
}
OWN = ("By the data set's own function.", BIAS)


def kind_of(note: str) -> str:
    return note.partition(": ")[0]


def listed(note: str, name: str, index: int) -> dict:
    """The line of problems.csv about one note on one example. name, index: of the example in its source."""
    kind, _, exactly = note.partition(": ")
    done, hint = NOTES.get(kind, OWN)
    return problem_row(NOTE, index, name, kind, f"{exactly}. {done}" if exactly else done, hint)
