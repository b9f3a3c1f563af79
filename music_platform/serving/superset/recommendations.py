"""The dashboard Recommendations: how good the lists are, what they offer, and one listener's and one song's."""

from music_platform.serving.superset.axes import DAY
from music_platform.serving.superset.chart_queries import Where
from music_platform.serving.superset.charts import big_number, time_series
from music_platform.serving.superset.datasets import TOP_SONGS
from music_platform.serving.superset.model import Chart, Dashboard, ValueFilter, even_row
from music_platform.serving.superset.recommendation_datasets import RECOMMENDATION_QUALITY as QUALITY
from music_platform.serving.superset.recommendation_datasets import RECOMMENDATIONS as LISTS
from music_platform.serving.superset.recommendation_datasets import SIMILAR_SONGS
from music_platform.serving.superset.tables import table
from music_platform.tables.recommendations.evaluation import POPULARITY, SERVED
from music_platform.tables.recommendations.shared import SHOWN_RANKS

_BLUE, _PALE_BLUE = "#1f77b4", "#9ecae1"


def _by_day(key: str, title: str, description: str, metric: str, axis_title: str) -> Chart:
    """A measure of the served lists and of popularity's; on the first day nothing is judged."""
    return time_series(
        key,
        title,
        description,
        QUALITY,
        [metric],
        grain=DAY,
        split_by="made_by",
        axis_title=axis_title,
        where=Where().is_in("model", [SERVED, POPULARITY]),
        may_be_empty=True,
    )


RECOMMENDATIONS = Dashboard(
    slug="recommendations",
    title="Recommendations",
    description="What listeners are offered, and how good it is.",
    label_colors={
        "Served": _BLUE,
        "Popularity": "#f2a93b",
        "Gain": _BLUE,
        "Gain less 2 errors": _PALE_BLUE,
        "Gain plus 2 errors": _PALE_BLUE,
    },
    filters=(
        ValueFilter(
            name="Listener",
            column="listener",
            dataset=LISTS,
            description="Number of the listener whose list is shown.",
            of_chart="list_of_listener",
        ),
        ValueFilter(
            name="Song",
            column="similar_to",
            dataset=SIMILAR_SONGS,
            description="Song whose similar ones are shown.",
            of_chart="similar_songs",
        ),
    ),
    rows=(
        even_row(
            18,
            big_number(
                "served_to_popularity",
                "Served to popularity",
                "How many times the nDCG@10 of popularity's lists do the served ones have?",
                QUALITY,
                "served_to_popularity",
                may_be_empty=True,
                regardless_of=["made_by"],
            ),
            big_number(
                "judged",
                "Judged lists",
                "How many lists could be judged by what was played next?",
                QUALITY,
                "judged",
                may_be_empty=True,
                regardless_of=["made_by"],
            ),
            big_number("listeners", "Listeners", "How many listeners have a list?", LISTS, "listeners"),
            big_number("songs", "Songs offered", "How many songs stand among the first ten of a list?", LISTS, "songs"),
        ),
        even_row(
            40,
            _by_day(
                "ndcg_by_day",
                "nDCG@10",
                "How well do the served lists meet what is played next, and how well would popularity's?",
                "ndcg",
                "nDCG@10",
            ),
            time_series(
                "gain_by_day",
                "Gain over popularity",
                "How much larger is the nDCG@10 of the served lists than popularity's, with two standard errors to each side?",
                QUALITY,
                ["gain", "gain_low", "gain_high"],
                grain=DAY,
                axis_title="Gain of nDCG@10",
                where=Where().is_in("model", [SERVED]),
                may_be_empty=True,
                regardless_of=["made_by"],
            ),
        ),
        even_row(
            40,
            _by_day(
                "hit_rate_by_day",
                "Hit rate",
                "What share of the listeners played one of the first ten songs?",
                "hit_rate",
                "Share of listeners",
            ),
            time_series(
                "weight_by_day",
                "Weight of popularity",
                "How much of popularity was in the served lists? At 0 % it is the model alone, at 100 % popularity alone.",
                QUALITY,
                ["weight"],
                grain=DAY,
                axis_title="Weight",
                largest=1,
                where=Where().is_in("model", [SERVED]),
                may_be_empty=True,
                regardless_of=["made_by"],
            ),
        ),
        even_row(
            40,
            _by_day(
                "coverage_by_day",
                "Coverage",
                "What share of all songs stands among the first ten of some list?",
                "coverage",
                "Share of songs",
            ),
            _by_day(
                "novelty_by_day",
                "Novelty",
                "How surprising are the offered songs? A song of one bit more has half the popularity.",
                "novelty",
                "Bits",
            ),
        ),
        even_row(
            50,
            table(
                "most_offered",
                "Most offered songs",
                "Which songs stand in the most lists?",
                LISTS,
                ["title", "artist"],
                ["lists"],
                most=SHOWN_RANKS,
                filters_others=False,
            ),
            table(
                "most_played",
                "Most played songs",
                "Which of the days' leading songs are played the most?",
                TOP_SONGS,
                ["title", "artist"],
                ["plays"],
                most=SHOWN_RANKS,
                filters_others=False,
            ),
        ),
        even_row(
            50,
            table(
                "list_of_listener",
                "A listener's list",
                "What is the chosen listener offered, on the last day of the chosen time?",
                LISTS,
                ["rank", "title", "artist", "day"],
                [],
                most=SHOWN_RANKS,
                filters_others=False,
                sort_by="place",
                smallest_first=True,
            ),
            table(
                "similar_songs",
                "Similar songs",
                "Which songs do the listeners of the chosen song play as well?",
                SIMILAR_SONGS,
                ["similar_title", "similar_artist"],
                ["similarity"],
                most=SHOWN_RANKS,
                filters_others=False,
                may_be_empty=True,
            ),
        ),
    ),
)
