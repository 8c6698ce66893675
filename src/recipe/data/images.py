"""An image of any kind as one array."""

import numpy as np

PIL_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "LAB": "RGB"}
CHANNELS = (1, 2, 3, 4)


def as_array(image) -> np.ndarray:
    """(C, H, W), uint8 or float32.

    Tensors are channels first, PIL images and arrays channels last, as in torchvision; where only the other order can
    be meant, as in an array (3, 32, 32), it is taken. Integers of 16 bits become 0..1; other types keep their values.
    Raises TypeError or ValueError for what is no image.
    """
    channels_first = hasattr(image, "detach")
    if hasattr(image, "getbands"):
        image = _plain_mode(image)
    array = image.detach().cpu().numpy() if channels_first else np.asarray(image)
    if array.dtype.kind not in "buif":
        raise TypeError(f"an image of type {type(image).__name__} ({array.dtype})")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"an image of shape {array.shape}; it must have two or three dimensions")
    if array.ndim == 2:
        array = array[None]
    else:
        first, last = array.shape[0] in CHANNELS, array.shape[2] in CHANNELS
        channels_first = first if first != last else channels_first
        array = array if channels_first else array.transpose(2, 0, 1)
    return np.ascontiguousarray(_plain_type(array))


def _plain_mode(image):
    """A palette's numbers are no brightness, and a net cannot read them: such modes become grey or RGB."""
    mode = PIL_MODES.get(image.mode, image.mode)
    if image.mode == "P" and "transparency" in image.info:
        mode = "RGBA"
    return image if mode == image.mode else image.convert(mode)


def _plain_type(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return array.astype(np.float32) / 65535
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which the audit reports
        return array.astype(np.float32)
