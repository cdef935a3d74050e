import pickle

import pytest
from babel.messages import Catalog
from babel.messages.mofile import write_mo

from qdemo.spec.messages import Message, language, say, say_counted, speak

HOLDS = "{name} holds {size:.1f} MB"
TOKENS = ("{count} token", "{count} tokens")
CARDS = ("{names} failed; the card says why.", "{names} failed; the {count} cards say why.")


@pytest.fixture
def translated(tmp_path):
    """Speaks a language that has those sentences; English again afterwards."""

    def translated(language, sentences):
        catalog = Catalog(language)
        for template, told in sentences.items():
            catalog.add(template, told)
        folder = tmp_path / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        with (folder / "qdemo.mo").open("wb") as file:
            write_mo(file, catalog)
        speak(language, tmp_path)

    yield translated
    speak("en")


def test_a_sentence_has_its_values_and_knows_them():
    found = say(HOLDS, name="int8", size=2.345)
    assert (found, found.template) == ("int8 holds 2.3 MB", HOLDS)
    assert found.values == {"name": "int8", "size": 2.345}


def test_what_stands_in_a_value_is_no_template():
    assert say("{text} is no number", text="{text!r} {0} %s") == "{text!r} {0} %s is no number"


def test_without_values_braces_are_signs():
    assert say("{not} a {value") == "{not} a {value"


def test_numbers_have_their_forms():
    said = [say_counted(*TOKENS, n, count=n) for n in (0, 1, 2)]
    assert said == ["0 tokens", "1 token", "2 tokens"]
    assert [one.template for one in said] == [TOKENS[1], TOKENS[0], TOKENS[1]]


def test_a_sentence_that_is_sent_on_is_text():
    sent = pickle.loads(pickle.dumps(say(HOLDS, name="int8", size=1)))
    assert (sent, type(sent)) == ("int8 holds 1.0 MB", str)


def test_another_language_puts_values_where_it_wants_them(translated):
    translated("de", {HOLDS: "{size:.1f} MB hält {name}"})
    found = say(HOLDS, name="int8", size=1)
    assert found == "1.0 MB hält int8"
    assert (found.template, isinstance(found, Message)) == (HOLDS, True)
    assert say("not translated") == "not translated"


def test_another_language_has_its_own_forms_for_numbers(translated):
    translated("pl", {TOKENS: ("{count} token", "{count} tokeny", "{count} tokenów")})
    said = [say_counted(*TOKENS, n, count=n) for n in (1, 2, 5, 22)]
    assert said == ["1 token", "2 tokeny", "5 tokenów", "22 tokeny"]


@pytest.mark.parametrize(
    "told",
    [
        "{size:.1f} MB",  # one is lost
        "{name} hält {groesse:.1f} MB",
        "{name.__class__} hält {size:.1f} MB",
        "{name} {size:.1f} {0}",
        "{name} hält {size:d} MB",
        "{name} hält {size:.1f MB",
    ],
)
def test_a_translation_whose_values_are_others_is_not_used(translated, told):
    translated("de", {HOLDS: told})
    assert say(HOLDS, name="int8", size=1) == "int8 holds 1.0 MB"


def test_a_number_s_form_that_lacks_a_value_is_not_used(translated):
    translated("de", {TOKENS: ("ein Wort", "{count} Wörter")})
    assert [say_counted(*TOKENS, n, count=n) for n in (1, 2)] == ["1 token", "2 Wörter"]


def test_what_only_one_english_form_has_may_be_left_out(translated):
    translated("de", {CARDS: ("{names}: eine Karte", "{names}: Karten")})
    said = [say_counted(*CARDS, n, names="a", count=n) for n in (1, 2)]
    assert said == ["a: eine Karte", "a: Karten"]


def test_nothing_is_nothing_in_any_language(translated):
    translated("de", {"a": "b"})
    assert say("") == ""


def test_the_language_is_known_as_html_names_it(translated):
    assert language() == "en"
    translated("pt_BR", {"a": "b"})
    assert (language(), say("a")) == ("pt-BR", "b")


@pytest.mark.parametrize("unknown", ["xx", "", "../..", "C"])
def test_a_language_that_is_not_there_is_english(unknown):
    speak(unknown)
    assert (language(), say("a")) == ("en", "a")
    speak("en")
