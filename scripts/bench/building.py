"""Building what is measured."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def cargo_target(root):
    """Where cargo builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve()


def dist(root, baselines):
    """Builds the program, and the baselines if they are wanted; returns the program's path."""
    program = cargo_target(root) / "dist" / "ringway"
    if not program.exists():
        print("building ringway, once: a few minutes", file=sys.stderr, flush=True)
    what = ["--bins", "--examples"] if baselines else ["--bins"]
    subprocess.run(["cargo", "build", "--profile", "dist", "--quiet", *what], cwd=root, check=True)
    return program


def commit(root, name):
    """The full name of a commit, None if there is none of this name."""
    found = subprocess.run(["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"],
                           cwd=root, capture_output=True, text=True)
    return found.stdout.strip() or None


def variant(root, source):
    """Builds another version of the program; returns its path.

    `source` is the path of a patch on the committed program, or the name of a commit. What was built from the
    same sources and patch before is taken again.
    """
    is_patch = isinstance(source, Path)
    commit = "HEAD" if is_patch else source
    sources = subprocess.run(
        ["git", "rev-parse", f"{commit}:src", f"{commit}:Cargo.toml", f"{commit}:Cargo.lock"],
        cwd=root, check=True, capture_output=True).stdout
    key = hashlib.sha256(sources + (source.read_bytes() if is_patch else b"")).hexdigest()[:16]
    target = cargo_target(root) / "variants"
    built = target / key
    if built.exists():
        return built
    with tempfile.TemporaryDirectory(prefix="ringway-variant-") as tree:
        git = ["git", "-C", root, "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", tree, commit], check=True)
        try:
            if is_patch:
                subprocess.run(["git", "-C", tree, "apply", source], check=True)
            # Before there was a profile for it, `release` made the fastest program.
            has_dist = "[profile.dist]" in (Path(tree) / "Cargo.toml").read_text()
            profile = "dist" if has_dist else "release"
            subprocess.run(["cargo", "build", "--profile", profile, "--quiet", "--bin", "ringway",
                            "--target-dir", target], cwd=tree, check=True)
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True)
    shutil.copy2(target / profile / "ringway", built)
    return built
