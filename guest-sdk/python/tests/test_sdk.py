"""The package outside of a component: `PYTHONPATH=.:types python3 -m unittest discover tests`."""

import unittest
from collections import OrderedDict

from crossdock_guest import ABSENT, Decimal, Rejection, parse_text, to_json, within_places
from crossdock_guest.exact import NotExact, parse


class Numbers(unittest.TestCase):
    def test_every_digit_and_place_is_kept(self):
        for text in ("0", "0.00", "1.50", "-1.50", "12345678901.123456", "9007199254740993", "0.000001", "100"):
            for document in (f'{{"n":{text}}}', f'{{"n":"{text}"}}'):
                self.assertEqual(to_json(parse_text(document).decimal("n")), text)
        for text in ("79228162514264337593543950335", "-0.0000000000000000000000000001"):
            self.assertEqual(to_json(parse(text)), text)

    def test_an_exponent_becomes_plain_digits(self):
        for text, written in (("1e3", "1000"), ("1.25E+1", "12.5"), ("125e-2", "1.25"), ("0e99", "0"), ("-0.0", "0.0")):
            self.assertEqual(to_json(parse(text)), written)

    def test_what_cannot_be_held_exactly_is_refused(self):
        for text in ("79228162514264337593543950336", "0.12345678901234567890123456789", "1e29", "1e-29", "1e999999999999"):
            with self.assertRaises(NotExact, msg=text):
                parse(text)

    def test_what_json_does_not_call_a_number_is_none(self):
        for text in ("", " 1", "1 ", "+1", "01", "1.", ".5", "1,000", "1_000", "0x1", "1e", "NaN", "１", "1\n"):
            self.assertIsNone(parse(text), text)

    def test_arithmetic_is_exact_or_an_error(self):
        self.assertEqual(to_json(Decimal("0.1") + Decimal("0.2")), "0.3")
        self.assertEqual(to_json(Decimal("1.25") * Decimal("-0.5")), "-0.625")
        with self.assertRaises(ArithmeticError):
            Decimal(1) / Decimal(3)
        with self.assertRaises(ArithmeticError):
            Decimal("0.1") + Decimal(0.1)
        with self.assertRaises(Rejection):
            to_json(Decimal(2) ** 100)

    def test_what_is_no_number_of_digits_is_refused_and_nought_has_no_sign(self):
        for text in ("NaN", "sNaN1", "Infinity", "-Infinity", "1E+30", "1E-30", "1" * 29 + "1"):
            with self.assertRaises(Rejection, msg=text):
                to_json(Decimal(text))
        for text, written in (("-0.0", "0.0"), ("0E-7", "0.0000000"), ("1E+3", "1000"), ("1E-10", "0.0000000001")):
            self.assertEqual(to_json([Decimal(text)]), f"[{written}]")

    def test_zeros_beyond_the_places_are_dropped_and_nothing_else(self):
        for text, written in (("5.00000", "5.0000"), ("5.0", "5.0"), ("-1.230000", "-1.2300")):
            self.assertEqual(to_json(within_places(parse(text), 4, "/qty")), written)
        with self.assertRaises(Rejection) as why:
            within_places(parse("0.12345"), 4, "/qty")
        self.assertEqual((why.exception.code, why.exception.field), ("too_many_places", "/qty"))


class Documents(unittest.TestCase):
    def refused(self, text, read, code, field, message=None):
        with self.assertRaises(Rejection, msg=text) as why:
            read(parse_text(text))
        self.assertEqual((why.exception.code, why.exception.field), (code, field), text)
        if message is not None:
            self.assertEqual(why.exception.message, message)

    def test_a_field_that_cannot_be_read_is_named(self):
        row = lambda fields: fields.list("items")[1].decimal("qty")
        body = lambda qty: '{"items":[{},{%s}]}' % qty
        at = "/items/1/qty"
        self.refused(body(""), row, "field_missing", at, "/items/1/qty is missing")
        self.refused(body('"qty":null'), row, "field_null", at, "/items/1/qty is null, expected a decimal number")
        self.refused(body('"qty":true'), row, "field_type", at, "/items/1/qty is a boolean, expected a decimal number")
        self.refused(body('"qty":"two"'), row, "not_a_number", at, "/items/1/qty is not a decimal number")
        self.refused(body('"qty":1e99'), row, "number_not_exact", at)
        self.refused(body('"qty":1,"qty":2'), row, "field_invalid", at)
        self.refused('{"a/~":1}', lambda fields: fields.list("a/~"), "field_type", "/a~1~0")
        self.refused(r'{"a":"\ud83d"}', lambda fields: fields.text("a"), "field_invalid", "/a")

    def test_a_date_that_does_not_exist_is_refused_and_its_value_not_repeated(self):
        for text in ("2026-02-29 00:00:00", "2026-11-20 24:00:00", "2026/11/20 01:00:00", "王小明", "0000-00-00 00:00:00"):
            self.refused(
                f'{{"d":"{text}"}}',
                lambda fields: fields.date_time("d"),
                "field_invalid",
                "/d",
                "/d: expected a time yyyy-MM-dd HH:mm:ss",
            )
        self.assertEqual(parse_text('{"d":"2024-02-29T01:02:03"}').date_time("d"), "2024-02-29 01:02:03")
        self.assertEqual(parse_text('{"d":"2024-02-29 01:02:03"}').date("d"), "2024-02-29")
        self.assertIsNone(parse_text('{"d":"0000-00-00"}').optional_date("d"))

    def test_a_name_that_an_object_has_twice_is_refused_only_where_it_is_read(self):
        fields = parse_text('{"a":1,"b":"x","a":null,"c":{"d":"","d":""}}')
        self.assertEqual((fields.names(), fields.text("b")), (["a", "b", "c"], "x"))
        self.assertFalse(fields.has("a"))
        self.assertIsNone(fields.object("c").optional_decimal("d"))
        for read in (fields.text, fields.optional_text, fields.decimal, fields.date_time):
            with self.assertRaises(Rejection) as why:
                read("a")
            self.assertEqual(why.exception.message, "/a: duplicate field `a`")

    def test_malformed_json_is_located_by_line_and_byte(self):
        for text, place in (
            ('{\n "no": 1,\n "items": [}', "line 3, column 12"),
            ("", "line 1, column 0"),
            ('{"no":1} x', "line 1, column 10"),
            ('{"名":}', "line 1, column 8"),
        ):
            self.refused(text, lambda fields: None, "malformed_json", None, f"the document is not valid JSON: {place}")
        self.refused('{"n":NaN}', lambda fields: None, "malformed_json", None)

    def test_a_kind_of_a_plain_type_is_written_as_the_type(self):
        class Name(str):
            pass

        bill = OrderedDict(a=Name("x"), b=(1, Name("y")), c=ABSENT, d={})
        self.assertEqual(to_json({"bill": bill, "all": [bill]}), '{"bill":{"a":"x","b":[1,"y"],"d":{}},"all":[{"a":"x","b":[1,"y"],"d":{}}]}')

    def test_a_bill_is_written_compactly_and_floats_are_refused(self):
        bill = {"a": "x\"\\\n中", "b": [1, True, None, Decimal("1.50")], "c": ABSENT}
        self.assertEqual(to_json(bill), '{"a":"x\\"\\\\\\n中","b":[1,true,null,1.50]}')
        with self.assertRaises(Rejection) as why:
            to_json({"price": 0.1})
        self.assertEqual(why.exception.code, "body_unwritable")


if __name__ == "__main__":
    unittest.main()
