"""Draw the masked portrait that the page has to try at once: nobody's photograph, so nobody's rights."""

from __future__ import annotations

import cv2

from rac_unet.synthesis.masks.painting import paint_mask
from rac_unet.synthesis.toys.face import draw_face

_IDENTITY, _SIDE, _EDGE, _QUALITY = 12, 480, 90, 88


def draw_portrait() -> bytes:
    """Return a JPEG file, 480 pixels high: a drawn person with a surgical mask."""
    face = draw_face(_IDENTITY, "neutral", _IDENTITY, _SIDE)
    masked = paint_mask(face.image, face.points, "surgical", _IDENTITY).image
    wide = cv2.copyMakeBorder(masked, 0, 0, _EDGE, _EDGE, cv2.BORDER_REPLICATE)
    done, content = cv2.imencode(".jpg", cv2.cvtColor(wide, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return content.tobytes()
