"""Describe the dataset and draw a contact sheet of it: `python -m convlens.data.rendered_cars`."""

from PIL import Image

from . import PARTS, STYLES
from .contact_sheet import contact_sheet
from .description import DESCRIPTION

if __name__ == "__main__":  # nothing is drawn where it is only imported
    print(DESCRIPTION)
    print(f"Styles: {', '.join(STYLES)}")
    print(f"Parts: {', '.join(f'{value} {name}' for value, name in enumerate(PARTS))}")
    Image.fromarray(contact_sheet()).save("rendered_cars.png")
    print("Contact sheet, one row for each style: rendered_cars.png")
