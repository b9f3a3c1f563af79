"""Made-up artists and song titles for the generated catalogue, put together from short lists of words.

Durations and popularity do not belong here.
"""

import json
from importlib import resources

import numpy as np

from music_platform.eventsim.randomness import high_half, low_half, random_bits, stream_key

_SONGS_PER_ARTIST = 8


class _Words:
    """A stream of choices from the lists of words, the same everywhere."""

    def __init__(self, choices: int) -> None:
        data = resources.files("music_platform.eventsim").joinpath("data/song_words.json")
        self._lists: dict[str, list[str]] = json.loads(data.read_bytes())
        bits = random_bits(stream_key(0, "song names"), np.arange(choices // 2, dtype=np.uint64))
        self._numbers = iter(np.stack([high_half(bits), low_half(bits)], axis=1).ravel().tolist())

    def below(self, limit: int) -> int:
        return next(self._numbers) * limit >> 32

    def pick(self, name: str) -> str:
        words = self._lists[name]
        return words[self.below(len(words))]

    def fill(self, template: str) -> str:
        """The template with each {name of a list} replaced by a word of that list."""
        parts = template.split("{")
        for position, part in enumerate(parts[1:], start=1):
            name, rest = part.split("}")
            parts[position] = self.pick(name) + rest
        return "".join(parts)


def artists_and_titles(songs: int) -> tuple[list[str], list[str]]:
    """``songs`` pairs of artist and title, all different; a longer list begins with the shorter one."""
    words = _Words(80 * songs + 1_000)
    artists: list[str] = []
    titles: list[str] = []
    known_artists: set[str] = set()
    while len(titles) < songs:
        artist = words.fill(words.pick("artists"))
        while artist in known_artists:
            artist += words.fill(" {nouns}")
        known_artists.add(artist)
        known_titles: set[str] = set()
        for _ in range(1 + words.below(2 * _SONGS_PER_ARTIST - 1)):
            title = words.fill(words.pick("titles") + words.pick("suffixes"))
            while title in known_titles:
                title += words.fill(", {nouns}")
            known_titles.add(title)
            artists.append(artist)
            titles.append(title)
    return artists[:songs], titles[:songs]
