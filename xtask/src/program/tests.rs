//! Which of cargo's messages names the program.

use super::executable;

#[test]
fn of_all_messages_only_the_programs_own_names_it() {
    let message = |kind: &str, name: &str, test: bool| {
        format!(
            r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"{name}"}},"profile":{{"test":{test}}},"executable":"/t/debug/{name}"}}"#
        )
    };
    assert_eq!(executable(&message("bin", "hezar", false)), Some("/t/debug/hezar".into()));
    assert_eq!(executable(&message("bin", "hezar", true)), None, "the tests of the binary");
    assert_eq!(executable(&message("test", "program", true)), None, "the integration test");
    assert_eq!(executable(&message("bin", "lab", false)), None, "another program");
    assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    assert_eq!(executable("no JSON"), None);
}
