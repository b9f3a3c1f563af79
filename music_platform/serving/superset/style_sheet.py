"""The style sheet that each dashboard brings along: what Superset's own layout lacks on a narrow screen."""

# A table of the first ten is cut by intent, and Superset's sign that it is cut says nothing.
#
# Superset lays charts out in pixels of the grid's width. On a narrow screen the grid is therefore made twice as wide as the
# screen, and its rows wrap: half a row, or two quarters of one, fill the screen. So charts are a half or a quarter wide.
# Of the header the logo's row stays, which leads to the list of dashboards, and the title's.
# Titles of charts have the room of the buttons beside them, and measures in tables stay on one line.
STYLE_SHEET = """\
[aria-describedby="tt-rowcount-tooltip"] { display: none; }
@media (max-width: 768px) {
  .dashboard-content .grid-container { min-width: calc(200vw - 48px) !important; max-width: none !important; }
  .dashboard-content .grid-row { flex-wrap: wrap; row-gap: 16px; width: calc(100vw - 16px) !important; }
  .dashboard-content { width: 100vw !important; overflow-x: clip; }
  .dashboard-content .header-controls { display: none; }
  .dashboard-content .table td, .dashboard-content .table th { font-size: 10px; padding: 5px 2px !important; }
  .dashboard-content .table td:not(.dt-is-filter) { white-space: nowrap; }
  #main-menu .ant-menu { display: none; }
  .header-with-actions { min-height: 40px !important; padding: 4px 8px !important; }
  .header-with-actions .metadata-bar, .header-with-actions .fave-unfave-icon { display: none; }
  [data-test="metadata-bar"] { display: none; }
}
"""
