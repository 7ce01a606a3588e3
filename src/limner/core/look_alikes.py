"""Characters that look like Latin letters.

Source: confusables.txt 17.0 (UTS #39, https://www.unicode.org/reports/tr39), (c) 2025 Unicode, Inc., under the Unicode
License V3 (https://www.unicode.org/license.txt): the characters whose prototype is one Latin letter and that have no
compatibility decomposition to it, and the small letters of capitals among them. Added: small capitals, and Greek and
Cyrillic letters that stand for a letter by their sound.
"""

from __future__ import annotations

I_OR_L = "\u0131"
"""Stands for what may be an i or an l: a look-alike of a capital i is one of a small l."""

_CODES = {
    "a": "251 391 3b1 410 430 13aa 15c5 1d00 2376 237a a4ee ab7a 102a0 16f40 1ccd6",
    "b": (
        "180 181 182 183 184 185 253 299 392 3b2 411 412 42c 431 432 44c 462 463 48c 48d 13cf 13f4 13fc 1472 "
        "1473 1488 15af 15f7 2c82 2c83 a4d0 a7b4 a7b5 ab9f 10282 102a1 10301 16eb6 1ccd7"
    ),
    "c": (
        "a2 187 188 23c 3f2 3f9 421 441 4aa 4ab 1004 105a 13df 1d04 20a1 2ca4 2ca5 a4da abaf 102a2 10302 "
        "10415 1043d 1051c 118f2 1ccd8 1f16e 1f74c"
    ),
    "d": ("d0 f0 110 111 189 18a 18c 256 257 501 13a0 13e7 146f 1487 15de 15ea 1d05 20ab a4d2 a4d3 ab70 abb7 1ccd9"),
    "e": (
        "246 247 395 3b5 415 435 4bd 4bf 13ac 1d07 212e 22ff 2d39 a4f0 ab32 ab7c 10286 118a6 118ae 118c6 118ce 1ccda"
    ),
    "f": ("191 192 3dc 3dd 584 15b4 1d6e 1e9d a4dd a730 a798 a799 ab35 10287 102a5 10525 118a2 118c2 1ccdb 1d213"),
    "g": "18d 193 1e4 1e5 260 261 262 50c 50d 581 13c0 13f3 13fb 1d83 a4d6 ab90 1ccdc",
    "h": (
        "126 127 266 29c 397 41d 43d 45b 4a2 4a3 4bb 4c7 4c8 4c9 4ca 570 13bb 13c2 13f2 13fa 157c 2c67 2c68 "
        "2c8e 2c8f a4e7 a695 ab8b ab92 102cf 1ccdd"
    ),
    "i": (
        "131 141 142 196 197 19a 1c0 268 269 26a 26b 26d 29f 399 3b9 406 456 4c0 4cf 582 5c0 5d5 5df 5f1 627 "
        "673 7ca 13a5 13de 14aa 16c1 1d7b 1d7c 2110 2111 2160 2223 2373 2378 23fd 2c92 2c93 2cd0 2cd1 2d4f "
        "a4e1 a4f2 a647 ab75 abae ff29 ffe8 1028a 10309 10320 1041b 10443 10526 118a3 118b2 118c3 118d2 11dda "
        "11de1 16eaa 16f16 16f28 1ccde 1cce1 1ccf1 1d22a 1d408 1d43c 1d470 1d4d8 1d540 1d574 1d5a8 1d5dc "
        "1d610 1d644 1d678 1e8c7"
    ),
    "j": "248 249 29d 37f 3f3 408 458 13ab 148d 1d0a a4d9 a7b2 ab7b 1ccdf",
    "k": (
        "198 199 39a 3ba 41a 43a 49a 49b 49e 49f 13e6 16d5 1d0b 20ad 2c69 2c6a 2c94 2c95 a4d7 a740 a741 abb6 "
        "10518 1cce0"
    ),
    "m": ("271 39c 3fa 3fb 41c 43c 4cd 4ce 13b7 15f0 16d6 1d0d 1d6f 20a5 2c98 2c99 a4df ab87 102b0 10311 11700 1cce2"),
    "n": "14b 19d 19e 272 273 274 39d 3b7 43f 572 578 57c 1d70 2c9a 2c9b a4e0 1018e 10513 1cce3",
    "o": (
        "d8 f8 19f 275 398 39f 3b8 3bf 3c3 3ed 41e 43e 472 473 4e8 4e9 555 585 5e1 647 6be 6c1 6d5 6ff b20 "
        "c02 c82 d02 d20 d82 101d 10ff 12d0 13a4 13be 13eb 1d0f 1d11 2296 229d 236c 2c90 2c91 2c9e 2c9f 2d31 "
        "2d41 2d54 3007 a4f3 a74a a74b ab3d ab3e ab74 ab8e abbb 10292 102ab 10404 1042c 104c2 104ea 10516 "
        "118b5 118c8 118d5 118d7 11de0 1cce4 1ccf0 1d21a 1f714"
    ),
    "p": ("fe 1a4 1a5 1bf 3a1 3c1 3f8 420 440 13e2 146d 1486 1d18 1d7d 2374 2ca2 2ca3 2cce 2ccf a4d1 abb2 10295 1cce5"),
    "q": "2a0 51b 563 566 2d55 1cce6",
    "r": (
        "1a6 24d 27c 27d 280 433 491 493 13a1 13b1 13d2 1587 1d26 1d72 2c85 a4e3 ab47 ab48 ab71 ab81 aba2 "
        "104b4 104dc 16f35 1cce7 1d216"
    ),
    "s": ("1bd 282 3c2 405 455 54f 57f d1f 13d5 13da 1d74 a4e2 a731 aba5 abaa 10296 10420 10448 118c1 16f3a 1cce8"),
    "t": (
        "166 167 1ac 1ad 1ae 23e 288 3a4 3c4 422 442 4ac 4ad 13a2 1d1b 1d75 20ae 22a4 2361 27d9 2c66 2ca6 "
        "2ca7 a4d4 ab72 10297 102b1 10315 118bc 16f0a 1cce9 1f768"
    ),
    "u": (
        "244 289 28b 3bc 3c5 45f 54d 57d 1200 13cc 144c 1467 1d1c 1d7e 222a 22c3 a4f4 a79f ab4e ab52 ab9c "
        "104ce 104f6 118b8 118d8 16f42 1ccea"
    ),
    "v": (
        "3bd 474 475 5d8 13d9 142f 1d20 2228 22c1 2d38 a4e6 a6df aba9 10197 1051d 11706 118a0 118c0 16f08 "
        "1cceb 1d20d 1f708"
    ),
    "w": (
        "26f 3c9 448 461 47d 51c 51d 561 13b3 13d4 1d21 20a9 2cbd a4ea a761 ab83 aba4 114c5 1170a 1170e 1170f "
        "118ef 1ccec"
    ),
    "x": (
        "d7 3a7 3c7 425 445 4b2 4b3 1541 157d 166d 166e 16b7 2573 292b 292c 2a2f 2a30 2cac 2cad 2d5d a4eb "
        "a7b3 ab53 10196 10290 102b4 10317 10322 10527 118ec 1cced"
    ),
    "y": (
        "a5 1b3 1b4 24e 24f 263 28f 3a5 3b3 423 443 4ae 4af 4b0 4b1 10e7 13a9 13bd 1d8c 1eff 2ca8 2ca9 a4ec "
        "ab5a ab79 ab8d 102b2 118a4 118dc 16f43 1ccee"
    ),
    "z": "1b5 1b6 224 225 290 396 3b6 13c3 1d22 1d76 a4dc ab93 102f5 118a9 118c4 118c9 1ccef",
}
"""Code points by the letter; "i" has those of l too."""
_BLACK = {
    chr(first + number): letter
    for first in (0x1F150, 0x1F170, 0x1F1E6)  # letters in black circles and squares, and regional indicators
    for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")
}
LOOK_ALIKES = _BLACK | {
    chr(int(code, 16)): I_OR_L if letter == "i" else letter
    for letter, codes in _CODES.items()
    for code in codes.split()
}
"""The small letter of each."""
DIGITS = dict(zip("\u0665\u06f5\u0667\u06f7\U000118e5\U000118e6\U000118e9", "oovvzwc", strict=True))
"""Digits that look like a letter, but not like the ASCII digit of their value."""
