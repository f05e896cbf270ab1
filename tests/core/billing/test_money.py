import pytest
from hypothesis import given
from hypothesis import strategies as st

from airoxy.core.billing.money import NANO, exact_dollars, nanousd
from airoxy.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("5", 5 * NANO),
        ("$5", 5 * NANO),
        ("0.10", NANO // 10),
        ("2.50", 2_500_000_000),
        ("0.000000001", 1),
        ("0.1000000000000", NANO // 10),
        ("1000000000", 10**9 * NANO),
    ],
)
def test_dollars_are_taken_to_the_nano_dollar(text, amount):
    assert nanousd(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1,50", "1,000", "1e3", "five", "5 USD", ".5", "5.", "$", "nan", "٣", "1_0"],
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InvalidInput, match="no amount"):
        nanousd(text)


def test_what_cannot_be_held_is_refused():
    with pytest.raises(InvalidInput, match="nine decimals"):
        nanousd("0.0000000001")
    with pytest.raises(InvalidInput, match="more than"):
        nanousd("1000000000.01")


@given(st.integers(0, 10**9 * NANO))
def test_what_is_shown_is_what_was_meant(amount):
    assert nanousd(exact_dollars(amount).replace(",", "")) == amount


def test_no_more_digits_are_shown_than_there_are():
    assert exact_dollars(5 * NANO) == "$5.00"
    assert exact_dollars(1234 * NANO + 500_000_001) == "$1,234.500000001"
