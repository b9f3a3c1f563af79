"""Gold computed once more: every table, in pandas, of all events of all days at once, with no code of silver's or gold's.

What the tables promise is told by their contracts; here stands how one would work it out with the whole history at hand.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from music_platform_tests.assets.gold_oracle import aggregates, dimensions, facts
from music_platform_tests.assets.gold_oracle.history import History

ORACLES: dict[str, Callable[[History], pd.DataFrame]] = {
    "gold/fact_streams": facts.fact_streams,
    "gold/fact_page_views": facts.fact_page_views,
    "gold/fact_plays": facts.fact_plays,
    "gold/session_days": facts.session_days,
    "gold/fact_sessions": facts.fact_sessions,
    "gold/dim_users": dimensions.dim_users,
    "gold/dim_songs": dimensions.dim_songs,
    "gold/dim_artists": dimensions.dim_artists,
    "gold/dim_locations": dimensions.dim_locations,
    "gold/dim_datetime": dimensions.dim_datetime,
    "gold/user_activity": aggregates.user_activity,
    "gold/active_users": aggregates.active_users,
    "gold/retention_cohorts": aggregates.retention_cohorts,
    "gold/top_songs": aggregates.top_songs,
    "gold/top_artists": aggregates.top_artists,
    "gold/hourly_plays": aggregates.hourly_plays,
    "gold/level_funnel": aggregates.level_funnel,
    "gold/login_success": aggregates.login_success,
    "gold/user_song_interactions": aggregates.user_song_interactions,
}
"""The whole of each gold table, all its partitions in one frame, by the table's path."""
