"""Dates and times. `strftime` and `strptime` import when they are called: what they import comes with the facade."""

from __future__ import annotations

from sandboxd.guest.restricted.facades import zones
from sandboxd.guest.restricted.facades.tables.entry import Entry

_IMPLICIT = "time _strptime locale calendar"

TABLE = {
    "calendar": Entry(
        "APRIL AUGUST Calendar DECEMBER Day FEBRUARY FRIDAY HTMLCalendar IllegalMonthError"
        " IllegalWeekdayError JANUARY JULY JUNE MARCH MAY MONDAY Month NOVEMBER OCTOBER SATURDAY SEPTEMBER"
        " SUNDAY THURSDAY TUESDAY TextCalendar WEDNESDAY calendar day_abbr day_name firstweekday isleap"
        " leapdays month month_abbr month_name monthcalendar monthrange prcal prmonth setfirstweekday timegm"
        " weekday weekheader",
        implicit=_IMPLICIT,
    ),
    "datetime": Entry("MAXYEAR MINYEAR UTC date datetime time timedelta timezone tzinfo", implicit=_IMPLICIT),
    # No setting of clocks; no time zone of the process, which is the guest's too.
    "time": Entry(
        "CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME altzone asctime clock_gettime"
        " clock_gettime_ns ctime daylight gmtime localtime mktime monotonic monotonic_ns perf_counter"
        " perf_counter_ns process_time process_time_ns sleep strftime strptime struct_time thread_time"
        " thread_time_ns time time_ns timezone tzname",
        implicit=_IMPLICIT,
    ),
    "zoneinfo": Entry(
        "ZoneInfoNotFoundError available_timezones",
        wrapped={"ZoneInfo": zones.zone_info},
        implicit="importlib.resources",
    ),
}
