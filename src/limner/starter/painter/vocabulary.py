"""The vocabulary of the painter: the values that each attribute of a scene can take."""

from limner.starter.painter.animals.look import BREED_LOOKS
from limner.starter.painter.canvas import RGB

COLOURS: dict[str, RGB] = {
    "red": (214, 48, 49),
    "orange": (240, 138, 36),
    "yellow": (247, 208, 60),
    "green": (62, 160, 78),
    "teal": (32, 164, 158),
    "blue": (52, 108, 214),
    "purple": (132, 74, 190),
    "pink": (242, 128, 170),
    "brown": (134, 84, 52),
    "black": (44, 44, 50),
    "white": (244, 244, 240),
    "grey": (146, 150, 158),
}

SPECIES = ("cat", "dog")
BREEDS: dict[str, tuple[str, ...]] = {
    species: tuple(name for name, look in BREED_LOOKS.items() if look.species == species) for species in SPECIES
}

PRODUCTS = (
    "mug",
    "teapot",
    "sneaker",
    "backpack",
    "car",
    "phone",
    "watch",
    "bottle",
    "chair",
    "lamp",
    "headphones",
    "guitar",
)

ONE_SIDED = ("mug", "teapot", "sneaker", "car")  # products with a left and a right side

PLACES = (
    "beach",
    "park",
    "city",
    "living room",
    "snow",
    "forest",
    "desert",
    "mountains",
)
INDOORS = ("living room",)
STUDIO = "studio"  # a plain coloured backdrop instead of a place

EXTRAS = (
    "top hat",
    "scarf",
    "glasses",
    "bow tie",
    "crown",
    "flower wreath",
    "party hat",
    "sunglasses",
)

STYLES = (
    "illustration",
    "pencil sketch",
    "watercolour",
    "neon sign",
    "pixel art",
    "oil painting",
)

LIGHTS = ("day", "sunset", "night")
WEATHERS = ("clear", "rain", "snowfall")
POSES = ("sitting", "standing", "lying")

ATTRIBUTES: dict[str, tuple[str, ...]] = {  # the values of each field of a scene
    "subject": (*SPECIES, *PRODUCTS),
    "breed": tuple(BREED_LOOKS),
    "colour": tuple(COLOURS),
    "place": (*PLACES, STUDIO),
    "backdrop": tuple(COLOURS),
    "extra": EXTRAS,
    "extra_colour": tuple(COLOURS),
    "style": STYLES,
    "light": LIGHTS,
    "weather": WEATHERS,
    "pose": POSES,
}
