use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

/// `dir/a/b/file`, which nobody else may write.
fn house() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let file = below.join("file");
    fs::write(&file, "").unwrap();
    for path in [&dir.path().join("a"), &below, &file] {
        mode(path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    (dir, file)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn said(file: &Path) -> String {
    check(file).unwrap_err().to_string()
}

#[test]
fn what_others_may_write_is_refused_with_the_path_the_owner_the_mode_and_the_remedy() {
    let (dir, file) = house();
    check(&file).unwrap();
    for (path, good) in [(file.clone(), 0o644), (dir.path().join("a/b"), 0o755), (dir.path().join("a"), 0o755)] {
        for bad in [good | 0o020, good | 0o002] {
            mode(&path, bad);
            let shown = path.display();
            let words = said(&file);
            let wanted = [
                file.display().to_string(),
                format!("{shown} can be written"),
                format!("mode {bad:o}"),
                format!("chmod go-w {shown}"),
            ];
            assert!(words.contains("owner uid") && wanted.iter().all(|part| words.contains(part)), "{words}");
        }
        mode(&path, good);
        check(&file).unwrap();
    }
}

#[test]
fn a_sticky_directory_keeps_its_entries_for_their_owners_and_a_file_is_never_sticky() {
    let (dir, file) = house();
    mode(&dir.path().join("a"), 0o1777);
    check(&file).unwrap();
    mode(&dir.path().join("a/b"), 0o1777);
    check(&file).unwrap();
    // One that is not there anybody could make.
    assert!(said(&dir.path().join("a/b/away")).contains("can be written by others"));
    mode(&file, 0o1666);
    assert!(said(&file).contains("mode 1666"));
}

#[test]
fn a_link_is_as_good_as_the_way_to_it_and_the_way_to_its_target() {
    let (dir, file) = house();
    let (there, links) = (dir.path().join("there"), dir.path().join("links"));
    fs::create_dir(&there).unwrap();
    fs::create_dir(&links).unwrap();
    let target = there.join("target");
    fs::write(&target, "").unwrap();
    symlink("../there/target", links.join("file")).unwrap();
    symlink(&links, dir.path().join("dir")).unwrap();
    let named = dir.path().join("dir/file");
    check(&named).unwrap();
    for (path, bad, good) in [(&there, 0o777, 0o755), (&links, 0o777, 0o755), (&target, 0o666, 0o644)] {
        mode(path, bad);
        let words = said(&named);
        assert!(words.contains(&format!("{} can be written", path.display())), "{words}");
        mode(path, good);
    }
    check(&named).unwrap();
    fs::remove_file(&file).unwrap();
    symlink("file", &file).unwrap();
    assert!(said(&file).contains("symbolic links"));
}

#[test]
fn another_users_file_or_directory_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("NOT LOOKED AT: another user's file: that takes root");
    }
    let (dir, file) = house();
    for path in [file.clone(), dir.path().join("a/b"), dir.path().join("a")] {
        chown(&path, Some(12345), None).unwrap();
        let words = said(&file);
        let shown = path.display();
        assert!(
            words.contains(&format!("{shown} belongs to uid 12345 (mode"))
                && words.contains(&format!("chown root {shown}")),
            "{words}"
        );
        chown(&path, Some(0), None).unwrap();
    }
    // In a sticky directory its owner could put another in its place.
    mode(&dir.path().join("a"), 0o1777);
    chown(dir.path().join("a/b"), Some(12345), None).unwrap();
    assert!(check(&file).is_err());
    chown(dir.path().join("a/b"), Some(0), None).unwrap();
    // Also a link, whatever it leads to.
    let link = dir.path().join("a/link");
    symlink(&file, &link).unwrap();
    check(&link).unwrap();
    std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
    assert!(said(&link).contains("can be written by others"));
}

#[test]
fn a_missing_file_is_for_whoever_reads_it_to_tell() {
    let (dir, _) = house();
    check(&dir.path().join("a/away")).unwrap();
    check(&dir.path().join("away/and/away")).unwrap();
    check(&dir.path().join("a/b/file/below")).unwrap();
}

#[test]
fn each_room_looks_at_what_it_reads_and_at_the_configuration_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    let text = "[backend]\nurl = \"https://a.example\"\nca_file = \"backend-ca\"\n\
                [api]\ntls_cert_file = \"cert\"\ntls_key_file = \"key\"\nclient_ca_file = \"ca\"\nclient_crl_file = \"crl\"\n\
                [hsm]\nmodule = \"module\"\n\
                [callback]\nurl = \"https://b.example\"\npublic_key_file = \"callback-key\"\nca_file = \"callback-ca\"\n";
    fs::write(&path, text).unwrap();
    mode(&path, 0o644);
    let reads = [
        (Room::Api, &["cert", "key", "ca", "crl"][..]),
        (Room::Courier, &["backend-ca", "callback-ca"]),
        (Room::Vault, &["module", "callback-key"]),
    ];
    for (room, names) in reads {
        assert!(load(&path, room).is_ok());
        for name in names {
            let file = dir.path().join(name);
            fs::write(&file, "").unwrap();
            mode(&file, 0o666);
            for (other, _) in reads {
                assert_eq!(load(&path, other).is_err(), other == room, "{room:?} {name} {other:?}");
            }
            mode(&file, 0o644);
        }
        mode(&path, 0o646);
        fs::write(&path, "not read").unwrap();
        assert!(
            matches!(load(&path, room), Err(Error::Guard(fault)) if fault.words.contains("can be written by others"))
        );
        fs::write(&path, text).unwrap();
        mode(&path, 0o644);
    }
}
