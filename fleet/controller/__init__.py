"""What runs passes: today one run over many hosts, once each. Triggers, the workqueue and the loop come beside it.

sessions  open ways to hosts, one each, kept between passes
run       one pass over each of many hosts, side by side, recorded
prune     pure: what fleet made behind APIs and nobody names any more, as hosts to pass over
"""
