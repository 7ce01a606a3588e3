"""What prompts for the painter's images may say: the phrases of its captions, by kind."""

from __future__ import annotations

from limner.starter.painter.captions import (
    LIGHT_PHRASES,
    PLACE_PHRASES,
    POSE_WORDS,
    STYLE_OPENINGS,
    WEATHER_PHRASES,
    article,
    extra_noun,
)
from limner.starter.painter.scene import COLOURED_EXTRAS
from limner.starter.painter.vocabulary import BREEDS, COLOURS, EXTRAS, PRODUCTS, SPECIES

SYNONYMS = {
    "kitten": "cat",
    "kitty": "cat",
    "feline": "cat",
    "tomcat": "cat",
    "puppy": "dog",
    "doggy": "dog",
    "hound": "dog",
    "canine": "dog",
    "cup": "mug",
    "kettle": "teapot",
    "shoe": "sneaker",
    "trainer": "sneaker",
    "rucksack": "backpack",
    "automobile": "car",
    "smartphone": "phone",
    "wristwatch": "watch",
    "flask": "bottle",
    "armchair": "chair",
    "earphones": "headphones",
    "seaside": "beach",
    "coast": "beach",
    "garden": "park",
    "lawn": "park",
    "town": "city",
    "downtown": "city",
    "lounge": "living room",
    "sofa": "living room",
    "home": "living room",
    "wood": "forest",
    "woods": "forest",
    "sahara": "desert",
    "winter": "snow",
    "alps": "mountains",
    "hills": "mountains",
    "dusk": "sunset",
    "dawn": "sunset",
    "midnight": "night",
    "raining": "rain",
    "snowing": "snowfall",
    "lilac": "purple",
    "violet": "purple",
    "turquoise": "teal",
    "cyan": "teal",
    "gold": "yellow",
    "silver": "grey",
    "bowtie": "bow tie",
    "spectacles": "glasses",
    "shades": "sunglasses",
    "tiara": "crown",
    "garland": "flower wreath",
    "cartoon": "illustration",
    "aquarelle": "watercolour",
    "8bit": "pixel art",
}
"""Words that no caption has -> what captions say instead."""


def phrases() -> dict[str, tuple[str, ...]]:
    """The phrases of captions by kind: every word of every caption is in one of them."""
    flat = {
        "place": PLACE_PHRASES,
        "light": LIGHT_PHRASES,
        "weather": WEATHER_PHRASES,
        "pose": POSE_WORDS,
    }
    return {
        "subject": (*SPECIES, *PRODUCTS),
        **{f"breed of {species}": breeds for species, breeds in BREEDS.items()},
        "colour of a product": tuple(COLOURS),
        "extra of an animal": (
            *(f"wearing {extra_noun(extra)}" for extra in EXTRAS),
            *(f"{how} {extra_noun(COLOURED_EXTRAS[0])}" for how in ("with", "without")),
            f"wearing {extra_noun(COLOURED_EXTRAS[0], 'red ')}",
        ),
        **{kind: tuple(text for texts in each.values() for text in texts) for kind, each in flat.items()},
        "direction": ("facing left", "facing right"),
        "plain background": tuple(
            f"{place} {article(f'red {what}')}" for place, what in (("on", "background"), ("against", "wall"))
        ),
        "style": tuple(text.format("…") for texts in STYLE_OPENINGS.values() for text in texts if text != "{}"),
    }
