"""What this host can enforce, what not, why, and how to get the rest.

Three sources, and each answer says which it is from. Files are read below a root that tests replace by trees of other
hosts. What only trying can tell is tried in a throw-away process (`trial.py`). And one whole jail is built by the real
launcher and asked what is active in it (`jail.py`). Nothing here raises, and nothing is left behind.
"""

from sandboxd.doctor.engine import try_engine
from sandboxd.doctor.facts import EngineTrial, Facts, JailTrial, Setup
from sandboxd.doctor.jail import try_jail
from sandboxd.doctor.model import SCHEMA, Check, Evidence, PolicyCheck, ProtectionCheck, Report, Status
from sandboxd.doctor.probe import Child, Library, Trial, run_trial
from sandboxd.doctor.report import examine, known_names, make_report, run_checks
from sandboxd.doctor.setup import read_setup

__all__ = (
    "SCHEMA",
    "Check",
    "Child",
    "EngineTrial",
    "Evidence",
    "Facts",
    "JailTrial",
    "Library",
    "PolicyCheck",
    "ProtectionCheck",
    "Report",
    "Setup",
    "Status",
    "Trial",
    "examine",
    "known_names",
    "make_report",
    "read_setup",
    "run_checks",
    "run_trial",
    "try_engine",
    "try_jail",
)
