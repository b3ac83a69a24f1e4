"""Building what is measured."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def cargo_target(root):
    """Where cargo builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve()


def dist(root):
    """Builds the program and the baselines; returns the program's path."""
    subprocess.run(["cargo", "build", "--profile", "dist", "--quiet", "--bins", "--examples"], cwd=root, check=True)
    return cargo_target(root) / "dist" / "ringway"


def variant(root, patch):
    """Builds the committed program with a patch applied; returns the program's path.

    What was built from the same sources and patch before is taken again.
    """
    sources = subprocess.run(
        ["git", "rev-parse", "HEAD:src", "HEAD:Cargo.toml", "HEAD:Cargo.lock"],
        cwd=root, check=True, capture_output=True).stdout
    key = hashlib.sha256(sources + patch.read_bytes()).hexdigest()[:16]
    target = cargo_target(root) / "variants"
    built = target / key
    if built.exists():
        return built
    with tempfile.TemporaryDirectory(prefix="ringway-variant-") as tree:
        git = ["git", "-C", root, "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", tree, "HEAD"], check=True)
        try:
            subprocess.run(["git", "-C", tree, "apply", patch], check=True)
            subprocess.run(["cargo", "build", "--profile", "dist", "--quiet", "--bin", "ringway", "--target-dir", target],
                           cwd=tree, check=True)
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True)
    shutil.copy2(target / "dist" / "ringway", built)
    return built
