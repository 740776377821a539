"""Exporters: each writes one file of a Bundle. One file, one plug-in (clew.share.api.Exporter)."""
