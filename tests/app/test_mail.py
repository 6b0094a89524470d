"""What `pbx mail` prints."""

from zoneinfo import ZoneInfo

from pbx.app.mail import describe_mail

ROW = {
    "id": "m1",
    "state": "waiting",
    "created_at": 1795651200.0,  # 2026-11-26 00:00 UTC
    "recipient": "ann@acme.example",
    "subject": "Missed call",
    "attempts": 2,
    "next_at": 1795651260.0,
    "words": "450 later",
}


def test_times_are_those_of_the_office():
    listed = {"counts": {"waiting": 1, "sending": 0, "sent": 0, "refused": 0}, "mails": [ROW]}
    assert describe_mail(listed, True, ZoneInfo("Asia/Singapore"))[1:] == [
        "m1  2026-11-26 08:00  waiting  ann@acme.example  Missed call",
        "    2 tries, the next at 2026-11-26 08:01; 450 later",
    ]
