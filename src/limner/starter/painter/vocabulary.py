"""Every word that the painter knows: the values that each attribute of a scene can take."""

RGB = tuple[int, int, int]

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

CAT_BREEDS = ("tabby", "black", "siamese", "calico", "british shorthair", "persian")
DOG_BREEDS = ("golden retriever", "dalmatian", "husky", "poodle", "beagle", "corgi")
BREEDS: dict[str, tuple[str, ...]] = {"cat": CAT_BREEDS, "dog": DOG_BREEDS}
SPECIES = tuple(BREEDS)

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

ONE_SIDED = ("mug", "teapot", "sneaker", "car")  # products that look to one side

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
STUDIO = "studio"  # a plain coloured backdrop, so that a place can also be absent

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

ATTRIBUTES: dict[str, tuple[str, ...]] = {  # what can be told of a scene, by the names of its fields
    "subject": (*SPECIES, *PRODUCTS),
    "breed": (*CAT_BREEDS, *DOG_BREEDS),
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
