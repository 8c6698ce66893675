"""scikit-learn's handwritten digits, which are part of its package: no download is needed."""

import numpy as np


class Digits:
    """scikit-learn's 1,797 handwritten digits, 8x8, grey levels 0..16 spread over 0..255.

    Source: Alpaydin & Kaynak 1998, UCI "Optical Recognition of Handwritten Digits", test part; ships with scikit-learn.
    """

    classes = tuple("0123456789")

    def __init__(self):
        from sklearn.datasets import load_digits

        images, self.targets = load_digits(return_X_y=True)
        self.images = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        from PIL import Image

        return Image.fromarray(self.images[index]), int(self.targets[index])
