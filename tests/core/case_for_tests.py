"""A Mandate for tests: everything on this machine alone."""

MANDATE = {
    "id": "0" * 32,
    "operation": "Test",
    "authority": "Prosecutor of Testing",
    "purposes": ["*"],
    "networks": ["bittorrent"],
    "addresses": ["127.0.0.0/8"],
    "countries": ["*"],
    "trackers": ["http://127.1.0.1:6969/announce"],
    "exhibits": ["*"],
    "permits": [],
    "not_before": "2020-01-01T00:00:00Z",
    "not_after": "2100-01-01T00:00:00Z",
}
