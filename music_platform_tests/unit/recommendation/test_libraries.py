import pytest

from music_platform.recommendation import libraries
from music_platform.recommendation.libraries import RecommendationLibraryError


def test_a_missing_openmp_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> object:
        raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(libraries, "import_module", refuse)
    with pytest.raises(RecommendationLibraryError, match=r"libgomp\.so\.1.*Debian: libgomp1"):
        libraries.als_class()
    with pytest.raises(RecommendationLibraryError, match="Debian: libgomp1"):
        libraries.top_k()
