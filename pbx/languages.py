"""The languages that the system speaks, and which voice of eSpeak NG speaks each.

Each voice was checked: it loads, and what it makes of a greeting and of the number 17 in its own script has
the right sounds. Left out for failing that, among others: kaa (no dictionary), th (leaves vowels out),
ne and lb (numbers), my (letters); see docs/decisions/speech.md.
"""

from typing import Final

DEFAULT_LANGUAGE: Final = "en"

# Names are the voice files of the library, for which an alias such as "en" may stand for several.
VOICES: Final[dict[str, str]] = {
    "en": "gmw/en-US",
    "en-US": "gmw/en-US",
    "en-GB": "gmw/en",
    "en-029": "gmw/en-029",
    "zh": "sit/cmn",
    "zh-CN": "sit/cmn",
    "zh-SG": "sit/cmn",
    "zh-TW": "sit/cmn",
    "zh-HK": "sit/yue",
    "yue": "sit/yue",
    "fr-BE": "roa/fr-BE",
    "fr-CH": "roa/fr-CH",
    "es-419": "roa/es-419",
    "pt": "roa/pt",
    "pt-BR": "roa/pt-BR",
    "no": "gmq/nb",
} | {
    code: f"{family}/{code}" if family else code
    for family, codes in {
        "aav": "vi",
        "bat": "lt lv",
        "bnt": "sw",
        "ccs": "ka",
        "cel": "cy ga",
        "dra": "kn ml ta te",
        "gmq": "da is nb sv",
        "gmw": "af de nl",
        "grk": "el",
        "inc": "bn gu hi mr pa si ur",
        "ine": "hy sq",
        "ira": "fa",
        "poz": "id ms",
        "roa": "ca es fr it ro",
        "sem": "am ar mt",
        "trk": "az kk tr uz",
        "urj": "et fi hu",
        "zle": "be ru uk",
        "zls": "bg bs hr mk sl sr",
        "zlw": "cs pl sk",
        "": "eu ko",
    }.items()
    for code in codes.split()
}


def bases(language: str) -> list[str]:
    """Where texts in `language` are looked for: "zh-SG" -> ["zh-SG", "zh", "en"]."""
    found = [language, language.partition("-")[0], DEFAULT_LANGUAGE]
    return list(dict.fromkeys(found))
