"""Compiled once in a process: by content, without handing out what others may change."""

from host_tools.image import memo


def test_the_same_arguments_are_made_once_and_others_anew():
    calls = []

    @memo.remembered
    def make(board, files, tail=b""):
        calls.append(board)
        return {path: text + tail for path, text in files.items()}

    first = make("a", {"/x": b"1"})
    first["/y"] = b"mine"
    assert make("a", {"/x": b"1"}) == {"/x": b"1"}
    assert make("a", {"/x": b"2"}) == {"/x": b"2"}
    assert make("b", {"/x": b"1"}) == {"/x": b"1"}
    assert make("a", {"/x": b"1"}, tail=b"!") == {"/x": b"1!"}
    assert calls == ["a", "a", "b", "a"]


def test_the_oldest_goes():
    calls = []

    @memo.remembered
    def make(number):
        calls.append(number)
        return {}

    for number in (*range(memo.KEPT + 1), memo.KEPT, 0):
        make(number)
    assert calls == [*range(memo.KEPT + 1), 0]


def test_a_failure_is_not_remembered():
    calls = []

    @memo.remembered
    def make():
        calls.append(1)
        return {"/x": bytes(1 // (len(calls) - 1))}

    for _ in range(2):
        try:
            made = make()
        except ZeroDivisionError:
            made = None
    assert made == {"/x": b"\0"} and len(calls) == 2
