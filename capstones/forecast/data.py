"""Two tables, made by rules and dice: how much bread is asked for, and who likes which book."""

import numpy as np

DAY, WEEK = 24, 168
PEOPLE, BOOKS = 200, 80


def demand(weeks: int, seed: int, changed: bool = False) -> np.ndarray:
    """Loaves an hour: days and weeks repeat, the weather comes and goes. `changed`: another shop opened next
    door, which sells in the mornings."""
    dice, hours = np.random.default_rng(seed), np.arange(weeks * WEEK)
    morning = 0.5 if changed else 1.0
    day = morning * np.exp(-((hours % DAY - 8) / 2.5) ** 2) + 0.6 * np.exp(-((hours % DAY - 17) / 2.0) ** 2)
    week = np.array([1.0, 0.9, 0.95, 1.0, 1.2, 1.6, 0.7])[hours // DAY % 7]
    weather = np.zeros(len(hours))
    for t in range(1, len(hours)): weather[t] = 0.985 * weather[t - 1] + dice.normal(0, 0.05)
    found = 40 * day * week * np.exp(weather) + 4 * dice.normal(size=len(hours)) + 10
    return found.clip(0).astype(np.float32)


def ratings(seed: int, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """(person, book) and stars: people differ in what they like. The same people and books for all seeds."""
    world, dice = np.random.default_rng(0), np.random.default_rng(seed)
    people, books = world.normal(size=(PEOPLE, 3)), world.normal(size=(BOOKS, 3))
    stars = 3 + 0.5 * world.normal(size=(PEOPLE, 1)) + 0.5 * world.normal(size=BOOKS) + 0.6 * people @ books.T
    where = np.argwhere(dice.random(stars.shape) < share)
    noise = dice.normal(0, 0.3, len(where))
    return where, (stars[tuple(where.T)] + noise).clip(1, 5).astype(np.float32)
