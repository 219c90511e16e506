"""The day-two life of workspaces. See README.md for the rooms."""
