"""Ranking rules: in which order people look at leads, and why. One file each (`clew.attribute.api.Rule`)."""
