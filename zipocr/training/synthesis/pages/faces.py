"""Typefaces of whole pages: handwriting and type, separate for training and measurements.

Handwriting comes from npm packages (OFL 1.1 or Apache 2.0), installed by ``make fonts``; type from
these and from `zipocr.training.synthesis.typefaces`.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from zipocr.errors import InputError
from zipocr.training.synthesis.typefaces import font_files
from zipocr.training.synthesis.wording import Part

HANDWRITING: Mapping[Part, tuple[str, ...]] = {
    "train": (
        "nothing-you-could-do", "la-belle-aurore", "waiting-for-the-sunrise", "over-the-rainbow",
        "mali", "sriracha", "swanky-and-moo-moo", "short-stack", "sedgwick-ave", "gochi-hand",
        "annie-use-your-telescope", "nanum-brush-script", "kristi", "square-peg",
        "give-you-glory", "the-girl-next-door", "mynerve",
    ),
    "test": (
        "zeyada", "gaegu", "neucha", "bad-script", "loved-by-the-king", "delius", "mansalva",
        "licorice", "dawning-of-a-new-day",
    ),
}  # fmt: skip
"""Names of handwriting typefaces."""
MORE_HANDWRITING = (
    "beth-ellen", "bilbo", "caramel", "charm", "charmonman", "chilanka", "comforter", "dekko",
    "delicious-handrawn", "edu-qld-beginner", "edu-tas-beginner", "fuggles", "gwendolyn", "grey-qo",
    "hurricane", "ingrid-darling", "itim", "just-me-again-down-here", "kavivanar", "meddon",
    "mea-culpa", "moon-dance", "mr-dafoe", "mr-de-haviland", "ms-madi", "my-soul", "oooh-baby",
    "pangolin", "passions-conflict", "playwrite-de-grund", "playwrite-fr-trad",
    "playwrite-us-trad", "playwrite-us-modern", "puppies-play", "qwigley", "rouge-script",
    "ruthie", "sacramento", "sassy-frass", "send-flowers", "stalemate", "vibur", "water-brush",
    "whisper",
)  # fmt: skip
"""Names of further handwriting typefaces, only for training networks."""
DIGIT_HANDS = (
    "aguafina-script", "alex-brush", "allura", "arizonia", "babylonica", "birthstone",
    "bonheur-royale", "borel", "calligraffitti", "carattere", "clicker-script", "coming-soon",
    "cookie", "corinthia", "courgette", "crafty-girls", "damion", "dynalight", "east-sea-dokdo",
    "edu-au-vic-wa-nt-hand", "edu-nsw-act-cursive", "edu-nsw-act-foundation", "edu-qld-hand",
    "edu-sa-beginner", "edu-sa-hand", "edu-vic-wa-nt-beginner", "engagement", "estonia",
    "euphoria-script", "explora", "felipa", "gamja-flower", "grape-nuts", "great-vibes",
    "hachi-maru-pop", "herr-von-muellerhoff", "hi-melody", "inspiration", "island-moments", "julee",
    "just-another-hand", "kings", "kite-one", "klee-one", "kolker-brush", "league-script",
    "liu-jian-mao-cao", "long-cang", "love-light", "love-ya-like-a-sister", "lovers-quarrel",
    "luxurious-script", "ma-shan-zheng", "montez", "mr-bedfort", "mrs-saint-delafield", "niconne",
    "norican", "parisienne", "permanent-marker", "poor-story", "quintessential", "rancho",
    "redressed", "rochester", "rock-salt", "romanesco", "satisfy", "schoolbell",
    "sedgwick-ave-display", "smooch", "sofia", "splash", "sunshiney", "tangerine", "twinkle-star",
    "unkempt", "updock", "vujahday-script", "walter-turncoat", "waterfall", "windsong",
    "yellowtail", "yeon-sung", "yesteryear", "yomogi", "yuji-boku", "zen-kurenaido",
    "zhi-mang-xing", "playwrite-ar", "playwrite-at", "playwrite-au-qld", "playwrite-au-vic",
    "playwrite-be-wal", "playwrite-br", "playwrite-ca", "playwrite-cl", "playwrite-co",
    "playwrite-cu", "playwrite-cz", "playwrite-de-sas", "playwrite-dk-loopet",
    "playwrite-dk-uloopet", "playwrite-es", "playwrite-es-deco", "playwrite-fr-moderne",
    "playwrite-hr", "playwrite-hr-lijeva", "playwrite-hu", "playwrite-id", "playwrite-ie",
    "playwrite-in", "playwrite-is", "playwrite-it-moderna", "playwrite-it-trad", "playwrite-mx",
    "playwrite-ng-modern", "playwrite-nl", "playwrite-no", "playwrite-nz", "playwrite-pe",
    "playwrite-pl", "playwrite-pt", "playwrite-ro", "playwrite-sk", "playwrite-tz", "playwrite-vn",
    "playwrite-za",
)  # fmt: skip
"""Names of handwriting typefaces used only for their digits, many of them national school hands."""
CURSIVE = frozenset({
    "la-belle-aurore", "kristi", "square-peg", "over-the-rainbow", "zeyada", "bad-script",
    "licorice", "dawning-of-a-new-day",
    "bilbo", "caramel", "charmonman", "comforter", "fuggles", "gwendolyn", "grey-qo", "hurricane",
    "ingrid-darling", "meddon", "mea-culpa", "mr-dafoe", "mr-de-haviland", "ms-madi", "my-soul",
    "oooh-baby", "passions-conflict", "playwrite-", "puppies-play", "qwigley", "rouge-script",
    "ruthie", "sacramento", "sassy-frass", "send-flowers", "stalemate", "vibur", "water-brush",
    "whisper",
})  # fmt: skip
"""Handwriting typefaces not used for words in capitals."""
MONOSPACED: Mapping[Part, tuple[str, ...]] = {
    "train": ("courier-prime", "ibm-plex-mono"),
    "test": ("overpass-mono",),
}
"""Names of monospaced typefaces."""
PROPORTIONAL: Mapping[Part, tuple[str, ...]] = {
    "train": ("lato", "pt-serif", "archivo-narrow"),
    "test": ("open-sans", "libre-baskerville"),
}
"""Names of additional typefaces for print."""
_UNUSED = "DejaVu"  # reserved for pages for measurements
_FOLDER = "handwriting"
_PLACES = (Path(sys.prefix), Path(__file__).resolve().parents[4] / ".venv")


@lru_cache(maxsize=2)
def handwriting_files(part: Part) -> tuple[Path, ...]:
    """Return the font files of a part's handwriting."""
    return tuple(_installed(name, weight=400) for name in HANDWRITING[part])


@lru_cache(maxsize=1)
def more_handwriting_files() -> tuple[Path, ...]:
    """Return the font files of the handwriting for letters of lines, all for training."""
    more = tuple(_installed(name, weight=400) for name in MORE_HANDWRITING)
    return handwriting_files("train") + more


@lru_cache(maxsize=1)
def digit_hand_files() -> tuple[Path, ...]:
    """Return the font files of the handwriting for digits, all for training."""
    return more_handwriting_files() + tuple(_installed(name, weight=400) for name in DIGIT_HANDS)


@lru_cache(maxsize=2)
def monospaced_files(part: Part) -> tuple[Path, ...]:
    """Return the font files of a part's typewriters and line printers."""
    return tuple(_installed(name, weight) for name in MONOSPACED[part] for weight in (400, 700))


@lru_cache(maxsize=2)
def print_files(part: Part) -> tuple[Path, ...]:
    """Return the font files of a part's print."""
    shared = tuple(path for path in font_files(part) if _UNUSED not in path.name)
    names = PROPORTIONAL[part]
    return shared + tuple(_installed(name, weight) for name in names for weight in (400, 700))


def _installed(name: str, weight: int) -> Path:
    """Return the Latin font file of a typeface.

    Raises
    ------
    InputError
        If it is not installed.
    """
    file = Path("node_modules", "@fontsource", name, "files", f"{name}-latin-{weight}-normal.woff")
    for place in _PLACES:
        if (place / _FOLDER / file).is_file():
            return place / _FOLDER / file
    message = f"the typeface {name} is not installed: run make fonts in a checkout of zipocr"
    raise InputError(message)
