"""SBX30x: what may be imported, and by which ways a module may be reached."""

import pytest


@pytest.mark.parametrize(
    "source",
    [
        "import math, cmath\nprint(math.pi, cmath.e)",
        "import math as m\nm.sqrt(2)",
        "from math import sqrt as r, pi\nr(pi)",
        "import os\nprint(os.path.join('a', 'b'), os.listdir('.'), os.sep)",
        "import os.path\nos.path.exists('x')",
        "import os.path as osp\nosp.exists('x')",
        "from os import path, makedirs\npath.join('a')\nmakedirs('x')",
        "from os.path import join\njoin('a')",
        "import datetime as dt\ndt.datetime.now().time()\ndt.time(1)",
        "from datetime import datetime, time, timezone\nisinstance(x, datetime)\ndatetime.time(x)\nf(time)",
        "import collections.abc\nisinstance(x, collections.abc.Mapping)\ncollections.Counter()",
        "from collections import abc, OrderedDict\nabc.Mapping",
        "import xml.etree.ElementTree as ET\nET.fromstring('<a/>')",
        "import xml.etree.ElementTree\nxml.etree.ElementTree.parse('x')",
        "from xml.etree import ElementTree",
        "from urllib.parse import urlparse\nimport urllib.parse\nurllib.parse.quote('x')",
        "import sys\nprint(sys.maxsize, sys.version_info >= (3, 9), file=sys.stderr)\nsys.stdout.write('x')",
        "import asyncio\nasync def f(): await asyncio.sleep(0)\nasyncio.run(f())",
        "import random\nrandom.seed(1)\nrandom.random()",
        "import time\nt = time.time()",
        "from __future__ import annotations\nimport copy, glob, pprint\ncopy.copy(1); glob.glob('*'); pprint.pprint(1)",
        "import json\ntry:\n    json.loads('x')\nexcept json.JSONDecodeError as e:\n    pass\nexcept json.decoder.JSONDecodeError:\n    pass",
        "def f(time):\n    return time.tm_year\nimport time",
        "import string\nfor c in string.ascii_letters: pass",
        "from types import SimpleNamespace\nn = SimpleNamespace()\nn.x = 1\nsetattr(n, 'y', 2)",
        "import decimal\ndecimal.getcontext().prec = 10",
        "from json import JSONEncoder\nclass E(JSONEncoder):\n    def default(self, o): return 1\nE.item_separator = ','",
        "import os\nos.environ['A'] = 'b'",
    ],
)
def test_allowed(rules_of, source):
    assert rules_of(source) == set()


@pytest.mark.parametrize(
    ("source", "rule", "symbol"),
    [
        ("import subprocess", "import-not-allowed", "subprocess"),
        ("import subprocess as s\ns.run(1)", "import-not-allowed", "subprocess"),
        ("from subprocess import run\nrun(1)", "import-not-allowed", "subprocess"),
        ("import os.evil", "import-not-allowed", "os.evil"),
        ("import json.tool", "import-not-allowed", "json.tool"),
        ("import importlib.util", "import-not-allowed", "importlib.util"),
        ("import numpy as np\nnp.zeros(3)", "import-not-allowed", "numpy"),
        ("from math import *", "import-star", "math"),
        ("from . import x", "relative-import", ""),
        ("from ..os import x", "relative-import", ""),
        ("from os import system", "member-not-allowed", "os.system"),
        ("from os import path, system as s", "member-not-allowed", "os.system"),
        ("import os\nos.system('id')", "member-not-allowed", "os.system"),
        ("import os\nf = os.system", "member-not-allowed", "os.system"),
        ("import os\n@os.system\ndef f(): pass", "member-not-allowed", "os.system"),
        ("import os\nmatch x:\n    case os.system: pass", "member-not-allowed", "os.system"),
        (
            "def f():\n    import os\n    def g():\n        return os.getpid()",
            "member-not-allowed",
            "os.getpid",
        ),
        ("def f():\n    global os\n    import os\nos.getpid()", "member-not-allowed", "os.getpid"),
        (
            "def f():\n    os = 1\n    def g():\n        nonlocal os\n        import os\n    os.getpid()",
            "member-not-allowed",
            "os.getpid",
        ),
        ("class C:\n    import os\n    x = os.getpid()", "member-not-allowed", "os.getpid"),
        ("import os\n[os.getpid() for _ in x]", "member-not-allowed", "os.getpid"),
        ("[os for os in os.getpid()]", "member-not-allowed", "os.getpid"),
        ("import os\nos = 1\nos.getpid()", "member-not-allowed", "os.getpid"),
        ("import string\nstring.Formatter()", "member-not-allowed", "string.Formatter"),
        ("from string import Formatter", "member-not-allowed", "string.Formatter"),
        ("from typing import get_type_hints", "member-not-allowed", "typing.get_type_hints"),
        ("import os as o\no.system('id')", "module-renamed", "os"),
        ("from xml import etree as e", "module-renamed", "xml.etree"),
        ("import statistics\nstatistics.sys.modules", "borrowed-module", "statistics.sys"),
        ("import re\nre.enum.sys", "borrowed-module", "re.enum"),
        ("from contextlib import os", "borrowed-module", "contextlib.os"),
        ("from dataclasses import inspect as i", "borrowed-module", "dataclasses.inspect"),
        ("from os.path import os", "borrowed-module", "os.path.os"),
        ("import os\nos.path.os.system", "borrowed-module", "os.path.os"),
        ("from os import path as p\np.genericpath", "borrowed-module", "os.path.genericpath"),
        ("import enum\nenum.bltns.exec", "borrowed-module", "enum.bltns"),
        ("import random\nrandom._os.getpid()", "private-member", "random._os"),
        ("from random import _os", "private-member", "random._os"),
        ("import math\nx = math", "module-as-value", "math"),
        ("import os\nf(os.path)", "module-as-value", "os.path"),
        ("import re\nvars_ = [re]", "module-as-value", "re"),
        ("from os import path\nx = path", "module-as-value", "os.path"),
        ("import xml.etree.ElementTree\nx = xml.etree", "module-as-value", "xml.etree"),
        ("class C:\n    import re as r\nC.r.enum.sys", "module-as-value", ""),
        ("class C:\n    from os import path\nC.path.os", "module-as-value", ""),
        ("import math\nfor math.pi in [3]: pass", "module-changed", "math.pi"),
        ("import math\nmath.pi = 3", "module-changed", "math.pi"),
        ("import math\ndel math.pi", "module-changed", "math.pi"),
        ("import random\nrandom.seed += 1", "module-changed", "random.seed"),
        ("import os\nos.path.join = f", "module-changed", "os.path.join"),
        ("import json\njson.JSONEncoder.default = f", "module-changed", "json.JSONEncoder.default"),
        (
            "from json import JSONEncoder\nJSONEncoder.default = f",
            "module-changed",
            "json.JSONEncoder.default",
        ),
        ("from json import JSONEncoder as E\ndel E.default", "module-changed", "json.JSONEncoder.default"),
        ("import json\nsetattr(json.JSONEncoder, 'default', f)", "module-changed", "json.JSONEncoder"),
        (
            "from json import JSONEncoder\ndelattr(JSONEncoder, 'default')",
            "module-changed",
            "json.JSONEncoder",
        ),
        ("os.path.join = f", "module-changed", "os.path.join"),
    ],
)
def test_refused(screen, source, rule, symbol):
    findings = [one for one in screen(source) if one["rule"] == rule]
    assert findings, screen(source)
    assert findings[0]["symbol"] == symbol


def test_star_imports(screen):
    def severities(source, policy):
        return [one["severity"] for one in screen(source, policy)]

    assert severities("from sympy import *", "default") == ["error"]
    assert severities("from math import *", "default") == ["error"]
    assert severities("from sympy import *\nx = symbols('x')", "data-science") == ["warning"]
    assert severities("from pandas import *", "data-science") == ["error"]  # it would bring read_pickle in
    assert severities("from os import *", "data-science") == ["error"]
    assert severities("from subprocess import *", "data-science") == ["error"]


def test_one_finding_for_a_refused_module(screen):
    assert [one["line"] for one in screen("import numpy as np\nnp.zeros(3)\nnp.ones(2)\nprint(np)")] == [1]


def test_what_an_earlier_snippet_may_have_imported(rules_of):
    """Snippets of a session share their names, and the screen sees one of them."""
    assert rules_of("os.system('id')") == {"member-not-allowed"}
    assert rules_of("x = os") == {"module-as-value"}
    assert rules_of("os.path.join('a')") == set()
    assert rules_of("re.enum.sys") == {"borrowed-module"}
    assert rules_of("random._os") == {"private-member"}
    assert rules_of("string.Formatter()") == {"member-not-allowed"}
    assert rules_of("m.enum.sys.modules") == {"borrowed-module"}  # whatever m is
    assert rules_of("m = f()\nm.sys = 1\nprint(m.sys)") == set()  # the text shows what m is
    # ... and what is far more likely a variable stays one
    assert rules_of("print(string, time, datetime)\nqueue = []\nqueue.append(1)\ncode.strip()\n") == set()


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("import pandas as pd", "pandas is not in environment base; use policy data-science."),
        (
            "import matplotlib.pyplot as plt",
            "matplotlib is not in environment base; use policy data-science.",
        ),
        ("import sqlite3", "use policy data-science."),
        ("import requests", "no network"),
        ("from urllib.request import urlopen", "no network"),
        ("import subprocess", "Programs cannot be started"),
        ("import os\nos.system('ls')", "Programs cannot be started"),
        ("import pickle", "json"),
        ("import nonsense", "policy default allows"),
    ],
)
def test_hints_say_what_to_do(screen, source, hint):
    assert hint in screen(source)[0]["hint"]


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.linalg.solve(a, b)\nnp.random.default_rng(0)\nnp.array([1])",
        "import pandas as pd\npd.options.display.max_rows = 5\npd.read_csv('x.csv').query('a > 1')\npd.io.formats.style",
        "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nplt.rcParams['x'] = 1",
        "from scipy import stats, signal, io\nimport scipy.optimize as so\nso.minimize(f, 0)",
        "import sympy as sp\nfrom sympy.abc import x\nsp.lambdify(x, x**2, 'numpy')",
        "from PIL import Image\nimport openpyxl\nfrom openpyxl.styles import Font",
        "import zipfile\nzipfile.ZipFile('a')\nimport sqlite3\nsqlite3.connect(':memory:')",
        "from concurrent.futures import ThreadPoolExecutor\nimport threading\nthreading.Thread(target=f)",
    ],
)
def test_data_science_takes_its_libraries(rules_of, source):
    assert rules_of(source, "data-science") == set()


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("import pandas as pd\npd.io.common.os.getpid()", "borrowed-module"),
        ("import numpy as np\nnp.ctypeslib.as_array", "member-not-allowed"),
        ("import numpy.f2py", "import-not-allowed"),
        ("import pandas as pd\npd.read_pickle('x')", "member-not-allowed"),
        ("df.to_pickle('x')", "attribute-denied"),
        ("import pandas as pd\nx = pd\ndf.query('@x.io')", "module-as-value"),
        ("import subprocess", "import-not-allowed"),
        ("import socket", "import-not-allowed"),
    ],
)
def test_data_science_still_refuses(rules_of, source, rule):
    assert rule in rules_of(source, "data-science")


def test_what_the_restricting_layer_cannot_guard_is_told_apart(screen):
    """Native, or without a facade: a policy that restricts may route there; what no policy takes is just refused."""
    (native,) = screen("import numpy as np\nnp.zeros(3)", "pure")
    assert (native["rule"], native["action"]) == ("native-module", "route")
    assert "use policy data-science" in native["hint"]
    (no_facade,) = screen("import pathlib\npathlib.Path('a')", "pure")
    assert (no_facade["rule"], no_facade["symbol"]) == ("native-module", "pathlib")
    assert "use policy default" in no_facade["hint"]
    assert {one["rule"] for one in screen("import subprocess", "pure")} == {"import-not-allowed"}


def test_future_imports_pass_every_policy(rules_of):
    source = "from __future__ import annotations\ndef f(a: int) -> int: return a\n"
    assert [rules_of(source, policy) for policy in ("default", "data-science", "pure")] == [set()] * 3
    assert rules_of("from __future__ import braces") == {"syntax-error"}
