"""Numbers, chance, and bytes that look like chance."""

from __future__ import annotations

from sandboxd.guest.restricted.facades.tables.entry import Entry

_SEEDING = "_sha2"  # of 3.12 and up, for a seed that is a text
_MEASURED = "no names of the host's: use uuid4() or uuid5()"

TABLE = {
    "math": Entry(
        "acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp"
        " exp2 expm1 fabs factorial floor fma fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan"
        " isqrt lcm ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder"
        " sin sinh sqrt sumprod tan tanh tau trunc ulp"
    ),
    "cmath": Entry(
        "acos acosh asin asinh atan atanh cos cosh e exp inf infj isclose isfinite isinf isnan log log10 nan"
        " nanj phase pi polar rect sin sinh sqrt tan tanh tau"
    ),
    "statistics": Entry(
        "NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean kde kde_random"
        " linear_regression mean median median_grouped median_high median_low mode multimode pstdev pvariance"
        " quantiles stdev variance",
        implicit=_SEEDING,
    ),
    # The functions are methods of one generator, the session's own: the guest seeds it anew after the fork.
    "random": Entry(
        "Random SystemRandom betavariate binomialvariate choice choices expovariate gammavariate gauss"
        " getrandbits getstate lognormvariate normalvariate paretovariate randbytes randint random randrange"
        " sample seed setstate shuffle triangular uniform vonmisesvariate weibullvariate",
        implicit=_SEEDING,
    ),
    "secrets": Entry(
        "SystemRandom choice compare_digest randbelow randbits token_bytes token_hex token_urlsafe"
    ),
    "decimal": Entry(
        "BasicContext Clamped Context Decimal DecimalException DecimalTuple DefaultContext DivisionByZero"
        " ExtendedContext FloatOperation Inexact InvalidOperation MAX_EMAX MAX_PREC MIN_EMIN MIN_ETINY"
        " Overflow ROUND_05UP ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN"
        " ROUND_HALF_UP ROUND_UP Rounded Subnormal Underflow getcontext localcontext setcontext",
        implicit="collections numbers",
    ),
    "fractions": Entry("Fraction"),
    "numbers": Entry("Complex Integral Number Rational Real"),
    "hashlib": Entry(
        "blake2b blake2s md5 new pbkdf2_hmac scrypt sha1 sha224 sha256 sha384 sha3_224 sha3_256 sha3_384"
        " sha3_512 sha512 shake_128 shake_256",
        hints={"file_digest": "read the bytes and hash those"},
    ),
    "hmac": Entry("compare_digest digest new"),
    "uuid": Entry(
        "NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 RESERVED_FUTURE RESERVED_MICROSOFT"
        " RESERVED_NCS RFC_4122 SafeUUID UUID uuid3 uuid4 uuid5 uuid7 uuid8 NIL MAX",
        implicit="hashlib",
        # These run ifconfig, ip or arp to find the host's hardware address.
        hints={"uuid1": _MEASURED, "uuid6": _MEASURED, "getnode": _MEASURED},
    ),
}
