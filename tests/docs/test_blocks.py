"""Which blocks a document has."""

import pytest

from tests.docs.blocks import of_page, of_source

PAGE = """\
# A page

Into `functions/shop/reviews.py`:

```python
x = 1

y = 2
```

## Try it

Then `./deploy.sh` is run:

- in a list

  ```console
  $ true
  ```

```
a picture
```
"""


def test_a_block_has_its_language_its_text_and_its_line() -> None:
    first, second, third = of_page(PAGE)
    assert (first.language, first.text, first.line) == ("python", "x = 1\n\ny = 2\n", 5)
    assert (second.language, second.text, second.line) == ("console", "$ true\n", 17)
    assert (third.language, third.text) == ("", "a picture\n")


def test_a_block_has_the_heading_above_it() -> None:
    assert [block.section for block in of_page(PAGE)] == ["A page", "Try it", "Try it"]


def test_a_file_named_in_the_line_before_is_the_title() -> None:
    assert [block.title for block in of_page(PAGE)] == ["functions/shop/reviews.py", "", ""]


def test_what_stands_in_a_block_is_no_heading() -> None:
    page = "## One\n```sh\n# comment\n```\n```text\nx\n```\n"
    assert [block.section for block in of_page(page)] == ["One", "One"]


def test_a_block_in_a_longer_fence_is_part_of_it() -> None:
    (block,) = of_page("````text\n```python\n1 +\n```\n````\n")
    assert block.text == "```python\n1 +\n```\n"


def test_a_fence_that_is_never_closed_is_refused() -> None:
    with pytest.raises(ValueError, match="never closed"):
        of_page("```python\nx = 1\n")


def test_an_example_is_indented_and_does_something() -> None:
    source = '"""Words.\n\n    from x import y\n\n    y()\n\nMore words.\n"""\n'
    (block,) = of_source(source)
    assert block.text == "from x import y\n\ny()\n"


@pytest.mark.parametrize("picture", ["a ──▶ b", "found │ so\n    ──────┼───", "word", "a, b"])
def test_a_picture_is_no_example(picture: str) -> None:
    assert of_source(f'"""Words.\n\n    {picture}\n"""\n') == []


def test_an_example_with_a_mistake_is_still_an_example() -> None:
    (block,) = of_source('"""Words.\n\n    from x import y\n    y(\n"""\n')
    assert block.text == "from x import y\ny(\n"


def test_the_examples_of_classes_and_functions_are_found() -> None:
    source = """\
class A:
    '''Words.

        a = A()
    '''

    def f(self):
        '''F.

            A().f()
        '''
"""
    assert [block.text for block in of_source(source)] == ["a = A()\n", "A().f()\n"]
