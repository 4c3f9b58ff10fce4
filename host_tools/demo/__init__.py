"""The main job, watched: a throw-away fleet, one board, one update, and whoever attacks them."""
