"""What a measurement takes where nobody says otherwise. Imports nothing, so that `--help` can show it for nothing.

All of it is our choice for a first look; what was used is recorded with every run.
"""

# the largest k of the rule; twice as many would steady pass@16 and cost twice as much
SAMPLES = 16
# inside the founding brief's range, so that pass@k and a later pool can share it
TEMPERATURE = 0.8
# no truncation: what decoding cuts away, a gap cannot show
TOP_P = 1.0
# a function with a paragraph of prose; a longer answer is cut off, and the share of those is a probe
MAX_TOKENS = 512
SEED = 0
# what most harnesses take; the sensitivity to it is shown with every grading
EXTRACTION = "first_fence"
ENGINE = "transformers_local"
