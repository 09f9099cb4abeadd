"""A real browser: Debian's Chromium, installed where that can be done, driven by Selenium."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("chromium", "chromium-driver")
PATIENCE = 20
"""Seconds for what the page is to show."""


class Page:
    """What a person does with the console."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self._url = url

    def open(self, path: str) -> None:
        """Go to a view, such as `now`."""
        self.driver.get(f"{self._url}#/{path}")

    def see(self, text: str) -> None:
        """Wait until this is shown."""
        self._wait(lambda driver: text in self.text, f"{text!r} is not shown")

    def see_no(self, text: str) -> None:
        """Wait until this is not shown."""
        self._wait(lambda driver: text not in self.text, f"{text!r} is still shown")

    def click(self, label: str) -> None:
        """Press the button, or follow the link, with this label."""
        self._found(f"//*[self::button or self::a][normalize-space()={label!r}]").click()

    def fill(self, label: str, text: str) -> None:
        """Type into the field with this label, in place of what is there."""
        field = self.field(label)
        if field.tag_name == "select":
            field.send_keys(text)
            return
        field.clear()
        field.send_keys(text)

    def type(self, label: str, keys: str) -> None:
        """Type into the field with this label, from its beginning, as it is."""
        self.field(label).send_keys(keys)

    def field(self, label: str) -> WebElement:
        """The field with this label."""
        label_of = self._found(f"//label[normalize-space()={label!r}]")
        return self.driver.find_element(By.ID, label_of.get_attribute("for") or "")

    def emulate(self, scheme: str) -> None:
        """Prefer `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def is_disabled(self, label: str) -> bool:
        """Whether the button with this label does nothing."""
        return not self._found(f"//button[normalize-space()={label!r}]").is_enabled()

    def press(self, keys: str) -> None:
        """Type without a field."""
        self.driver.find_element(By.TAG_NAME, "body").send_keys(keys)

    def keep(self, name: str) -> None:
        """Keep a picture, where SCREENSHOTS names a folder."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    @property
    def text(self) -> str:
        """All that is shown."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def _found(self, path: str) -> WebElement:
        found = self._wait(lambda driver: driver.find_elements(By.XPATH, path), f"no {path}")
        element: WebElement = found[0]
        return element

    def _wait(self, condition: Callable[[webdriver.Chrome], Any], otherwise: str) -> Any:
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.3)
        return waiting.until(condition, otherwise)


@contextmanager
def browser(width: int = 1200, height: int = 800) -> Iterator[webdriver.Chrome]:
    """A browser of its own profile. Skips the test, with a reason, where there can be none."""
    chromium, driver = _programs()
    options = Options()
    options.binary_location = chromium
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--lang=en-US",
    ):
        options.add_argument(flag)
    options.add_argument(f"--window-size={width},{height}")
    made = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield made
    finally:
        made.quit()


def _programs() -> tuple[str, str]:
    if not all(map(shutil.which, PROGRAMS)):
        _install()
    chromium, driver = map(shutil.which, PROGRAMS)
    if not (chromium and driver):
        pytest.skip("Debian's chromium and chromium-driver are not there, and not to be installed")
    return chromium, driver


def _install() -> None:
    if os.getuid() or not shutil.which("apt-get"):
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update"], capture_output=True, env=environ, timeout=120)
    subprocess.run(command, capture_output=True, env=environ, timeout=600)
