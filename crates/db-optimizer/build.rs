//! The migrations are compiled in: a change of theirs is a change of the crate.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::{fs, io};

fn main() -> io::Result<()> {
    let folder = "../../migrations";
    println!("cargo::rerun-if-changed={folder}");
    let mut files: Vec<PathBuf> = Vec::new();
    for migration in fs::read_dir(folder)? {
        files.push(migration?.path().join("up.sql"));
    }
    files.sort();
    let mut digest = DefaultHasher::new();
    for file in files.iter().filter(|file| file.exists()) {
        println!("cargo::rerun-if-changed={}", file.display());
        fs::read_to_string(file)?.hash(&mut digest);
    }
    // Names the tests' template database: other migrations, another template.
    println!("cargo::rustc-env=JEBI_MIGRATIONS_DIGEST={:016x}", digest.finish());
    Ok(())
}
