"""Tests that need no Ray, no TVM and no device; together they take seconds."""

import pytest

pytest.register_assert_rewrite("tests.pure.conformance")
