from tests.protocol.audit.story import Records


def test_records_of_honest_parties_agree(honest: Records) -> None:
    report = honest.audit()
    assert report.findings == []
    assert report.holds
