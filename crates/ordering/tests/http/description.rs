//! The description of the feed and the API.

use std::collections::HashSet;

use serde_json::Value;

use crate::fixture::App;

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

#[tokio::test]
async fn every_address_is_described_with_its_problems() {
    let api = App::sqlite().await.get("/openapi.json").await.value();
    let paths: HashSet<_> = api["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "/feed/v1/checksums",
        "/feed/v1/orders",
        "/feed/v1/orders/{number}",
        "/feed/v1/status",
        "/api/v1/customers",
        "/api/v1/customers/{id}",
        "/api/v1/orders",
        "/api/v1/orders/{number}",
        "/api/v1/orders/{number}/confirm",
        "/api/v1/nested/orders",
        "/api/v1/transactions/{id}",
    ];
    assert_eq!(paths, HashSet::from(expected));

    let mut ids = HashSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()));
            for status in ["400", "401", "500", "503"] {
                let problem =
                    &operation["responses"][status]["content"]["application/problem+json"];
                let schema = problem["schema"]["$ref"].as_str();
                assert_eq!(
                    schema,
                    Some("#/components/schemas/Problem"),
                    "{method} {path} {status}"
                );
            }
        }
    }
    assert_eq!(api["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(api["security"][0]["token"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn every_schema_that_is_named_is_there() {
    let api = App::sqlite().await.get("/openapi.json").await.value();
    let mut named = Vec::new();
    references(&api, &mut named);
    assert!(named.len() > 10);
    assert!(!api.to_string().contains("`None`"), "a document has no None");
    for reference in named {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{reference}");
    }
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
        _ => {}
    }
}
