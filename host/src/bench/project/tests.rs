use super::*;

fn request(directory: &Path, from: Option<&str>, to: Option<&str>) -> Request {
    Request {
        name: "my-transform".into(),
        directory: directory.into(),
        language: Language::Rust,
        from: from.map(Into::into),
        to: to.map(Into::into),
    }
}

#[test]
fn every_pair_of_operations_has_all_its_files_and_no_placeholder_is_left() {
    let sources = SOURCES.iter().map(|source| Some(source.operation)).chain([None]);
    for from in sources {
        for to in TARGETS.iter().map(|target| Some(target.operation)).chain([None]) {
            for language in Language::ALL {
                let request = Request { language: *language, ..request(Path::new("."), from, to) };
                let (source, target) = (Side::source(from).unwrap(), Side::target(to).unwrap());
                let files = files(&request, &source, &target).unwrap();
                let shared = ["cases/first/input.json", "cases/first/expected.json", "parameters.example.json"];
                for file in shared.iter().chain(&["parameters.schema.json", "README.md", language.manifest()]) {
                    assert!(files.contains_key(*file), "{language:?} {from:?} to {to:?} has no {file}");
                }
                for (path, text) in &files {
                    for name in ["@name@", "@source@", "@target@", "@key_field@"] {
                        assert!(!text.contains(name), "{path} of {from:?} to {to:?} holds {name}");
                    }
                    assert!(!path.ends_with(TEMPLATE_SUFFIX), "{path}");
                }
            }
        }
    }
}

#[test]
fn the_vendored_sdk_stands_by_itself() {
    let files: BTreeMap<String, String> = sdk::rust().unwrap().into_iter().collect();
    let manifest = &files["vendor/crossdock-guest/Cargo.toml"];
    assert!(!manifest.contains("workspace"), "{manifest}");
    let read: toml::Table = manifest.parse().unwrap();
    assert_eq!(read["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert!(read["dependencies"]["serde"]["features"].is_array(), "{manifest}");
    assert!(files["vendor/crossdock-guest/src/bindings.rs"].contains("\"../wit/1.0.0\""));
    assert!(files["vendor/wit/1.0.0/transform.wit"].contains("package crossdock:transform@"));
}

#[test]
fn the_lock_names_the_project_and_nothing_that_only_tests_of_the_repository_need() {
    let lock = lock::cargo_lock("my-transform").unwrap();
    let read: toml::Table = lock.parse().unwrap();
    let names: Vec<&str> =
        read["package"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in ["crossdock-guest", "my-transform", "serde", "wit-bindgen", "rust_decimal"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(!names.contains(&"proptest"), "{names:?}");
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("project");
    let made = create(&request(&directory, None, None)).unwrap();
    assert!(made.files.contains(&PathBuf::from("src/lib.rs")), "{made:?}");
    let before = fs::read_to_string(directory.join("src/lib.rs")).unwrap();
    let why = create(&request(&directory, None, Some("BatchSave"))).unwrap_err();
    assert!(matches!(why, Error::NotEmpty { .. }), "{why}");
    assert_eq!(fs::read_to_string(directory.join("src/lib.rs")).unwrap(), before);
}

#[test]
fn an_operation_is_found_with_or_without_its_system_and_a_slip_is_told_what_there_is() {
    let by_name = Side::target(Some("BatchSave")).unwrap();
    assert_eq!((by_name.operation.as_str(), by_name.template), ("kingdee_k3cloud:BatchSave", "k3cloud_bill"));
    assert_eq!(Side::source(Some("yonyou_u8:saleoutlist/batch_get")).unwrap().key_field, "code");
    assert_eq!(Side::source(Some("sap:orders")).unwrap().operation, "sap:orders");
    for slip in ["Batchsave", "kingdee_k3cloud:Save", "", ":x", "x:", "a:\"b"] {
        let Err(why) = Side::target(Some(slip)) else { panic!("{slip:?} was taken") };
        assert!(why.to_string().contains("kingdee_jdy:jdy/inv/inv_check_gain_bill_save"), "{why}");
    }
}

#[test]
fn a_name_that_the_contract_or_cargo_refuses_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "Upper", "1st", "under_score", "a/b", "../x", "test", &"x".repeat(65)] {
        let request = Request { name: name.into(), ..request(&dir.path().join("p"), None, None) };
        assert!(matches!(create(&request), Err(Error::Name { .. })), "{name:?}");
    }
    assert!(!dir.path().join("p").exists());
}
