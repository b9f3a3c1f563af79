"""Made-up artists and song titles for the generated catalogue, put together from short lists of words.

Durations and popularity do not belong here.
"""

import numpy as np

from music_platform.eventsim.randomness import high_half, low_half, random_bits, stream_key

_SONGS_PER_ARTIST = 8
_ADJECTIVES = (
    "Amber Ancient Bitter Blue Bright Broken Burning Café Cold Crimson Distant Drifting Early Electric Empty Endless "
    "Fading Fearless Fragile Gentle Golden Hidden Hollow Honest Indigo Lonely Lucky Midnight Naïve Northern Pale Paper "
    "Patient Quiet Restless Sacred Scarlet Secret Silent Silver Sleepless Slow Southern Stolen Sudden Tender Velvet "
    "Violet Wandering Wild Winter Wooden Young"
).split()
_NOUNS = (
    "Anchor Arrow Autumn Avenue Bell Bird Boulevard Bridge Candle Carousel Circle City Cloud Compass Diamond Dream "
    "Echo Ember Fever Fire Garden Ghost Harbor Heart Highway Horizon Island Kingdom Lantern Letter Lighthouse Lion "
    "Machine Mirror Moon Morning Mountain Night Ocean Orchard Parade Piñata Radio Rain River Road Satellite Shadow "
    "Signal Sky Smoke Snow Station Stone Storm Summer Sun Thunder Tide Train Valley Voice Wave Window Wolf"
).split()
_FIRST_NAMES = (
    "Ada Alma André Beatriz Benno Björn Carla Cleo Dario Delia Elif Emre Fiona Gustav Hana Ignacio Inès Jonas Júlia "
    "Kaito Lea Lino Maja Marek Mira Nadia Noël Olga Oskar Paloma Quentin Rosa Søren Tamsin Ugo Vera Wanda Yara Zoë"
).split()
_LAST_NAMES = (
    "Albrecht Almeida Bergström Castellano Delacroix Eriksen Falk Guerrero Holloway Ibarra Jansen Kovač Larkspur "
    "Marchetti Novák Okafor Petrova Quintero Rasmussen Sørensen Tanaka Ueda Valdés Whitlock Yilmaz Zielinski"
).split()
_ENSEMBLES = ("Band", "Brothers", "Collective", "Ensemble", "Orchestra", "Quartet", "Sisters", "Sound System", "Trio")
_PLACES = ("Berlin", "Kyoto", "Lagos", "Lisbon", "Malmö", "Memphis", "Montréal", "Oaxaca", "São Paulo", "Tallinn")
_SUFFIXES = (
    " (Live)",
    " (Remastered)",
    " (Acoustic)",
    " - Radio Edit",
    " [Instrumental]",
    " (feat. {})",
    ' ("12" Mix)',
)


class _Words:
    """A stream of choices that is the same everywhere."""

    def __init__(self, purpose: str, size: int) -> None:
        bits = random_bits(stream_key(0, purpose), np.arange(size, dtype=np.uint64))
        self._numbers = iter(np.stack([high_half(bits), low_half(bits)], axis=1).ravel().tolist())

    def below(self, limit: int) -> int:
        return next(self._numbers) * limit >> 32

    def of(self, words: list[str] | tuple[str, ...]) -> str:
        return words[self.below(len(words))]


def _artist(words: _Words) -> str:
    kind = words.below(6)
    if kind == 0:
        return f"The {words.of(_ADJECTIVES)} {words.of(_NOUNS)}s"
    if kind == 1:
        return f"{words.of(_ADJECTIVES)} {words.of(_NOUNS)}"
    if kind == 2:
        return f"{words.of(_LAST_NAMES)} {words.of(_ENSEMBLES)}"
    if kind == 3:
        return f"{words.of(_NOUNS)} & {words.of(_NOUNS)}"
    return f"{words.of(_FIRST_NAMES)} {words.of(_LAST_NAMES)}"


def _title(words: _Words) -> str:
    kind = words.below(7)
    if kind == 0:
        title = f"{words.of(_ADJECTIVES)} {words.of(_NOUNS)}"
    elif kind == 1:
        title = f"{words.of(_NOUNS)} in {words.of(_PLACES)}"
    elif kind == 2:
        title = f"Don't {words.of(('Forget', 'Follow', 'Leave', 'Wake', 'Stop'))} the {words.of(_NOUNS)}"
    elif kind == 3:
        title = f"{words.of(_NOUNS)} of the {words.of(_ADJECTIVES)} {words.of(_NOUNS)}"
    elif kind == 4:
        title = f"{words.of(_FIRST_NAMES)}'s {words.of(_NOUNS)}"
    elif kind == 5:
        title = f"{words.of(_NOUNS)}, {words.of(_NOUNS)}"
    else:
        title = f"The {words.of(_NOUNS)} and the {words.of(_NOUNS)}"
    if words.below(8) == 0:
        title += words.of(_SUFFIXES).format(words.of(_FIRST_NAMES))
    return title


def artists_and_titles(songs: int) -> tuple[list[str], list[str]]:
    """``songs`` pairs of artist and title, all different; a longer list begins with the shorter one."""
    words = _Words("song names", 40 * songs + 1_000)
    artists: list[str] = []
    titles: list[str] = []
    known_artists: set[str] = set()
    known_songs: set[tuple[str, str]] = set()
    while len(titles) < songs:
        artist = _artist(words)
        while artist in known_artists:
            artist = f"{artist} {words.of(_NOUNS)}"
        known_artists.add(artist)
        for _ in range(min(1 + words.below(2 * _SONGS_PER_ARTIST - 1), songs - len(titles))):
            title = _title(words)
            while (artist, title) in known_songs:
                title = f"{title}, {words.of(_NOUNS)}"
            known_songs.add((artist, title))
            artists.append(artist)
            titles.append(title)
    return artists, titles
