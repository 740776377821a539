"""clew: an investigation workbench for police units that protect children online.

    Watch -> observe -> attribute -> Lead      Exhibit -> intake -> match, identify -> review -> share -> Bundle

`flow.py` is the map, `model.py` the nouns; each stage is a folder, `core` what they all stand on.
"""

__version__ = "0.1.0"
