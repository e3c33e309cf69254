//! The names and options of SIP003 plugins.

/// A SIP003 plugin's standard name.
pub(crate) fn plugin_name(text: &str) -> Box<str> {
    match text.trim() {
        "obfs" | "simple-obfs" => "obfs-local".into(),
        name => name.into(),
    }
}

/// SIP003 options `k=v;word;…`; a backslash takes the next character as it is.
pub(crate) fn plugin_options(text: &str) -> Vec<(Box<str>, Box<str>)> {
    let mut options = Vec::new();
    let (mut name, mut value): (String, Option<String>) = (String::new(), None);
    let mut finish = |name: &mut String, value: &mut Option<String>| {
        let pair = (std::mem::take(name), value.take().unwrap_or_default());
        if !pair.0.is_empty() {
            options.push((pair.0.into(), pair.1.into()));
        }
    };
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ';' => finish(&mut name, &mut value),
            '=' if value.is_none() => value = Some(String::new()),
            c => {
                let c = if c == '\\' { chars.next().unwrap_or('\\') } else { c };
                value.as_mut().unwrap_or(&mut name).push(c);
            }
        }
    }
    finish(&mut name, &mut value);
    options
}

/// A plugin's options by its own names: some clients write those of simple-obfs for v2ray-plugin and the reverse.
pub(crate) fn plugin_words(plugin: &str, options: &mut [(Box<str>, Box<str>)]) {
    let words: &[(&str, &str)] = match plugin {
        "v2ray-plugin" | "xray-plugin" => &[("obfs", "mode"), ("obfs-host", "host"), ("obfs-uri", "path")],
        "obfs-local" => &[("mode", "obfs"), ("host", "obfs-host"), ("path", "obfs-uri"), ("uri", "obfs-uri")],
        _ => &[],
    };
    for (foreign, own) in words {
        if options.iter().any(|(name, _)| name.as_ref() == *own) {
            continue;
        }
        if let Some((name, _)) = options.iter_mut().find(|(name, _)| name.as_ref() == *foreign) {
            *name = (*own).into();
        }
    }
}

/// The inverse of [`plugin_options`].
pub(crate) fn plugin_options_text(options: &[(Box<str>, Box<str>)]) -> String {
    let escape = |out: &mut String, text: &str| {
        for c in text.chars() {
            if matches!(c, ';' | '=' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
    };
    let mut out = String::new();
    for (name, value) in options {
        if !out.is_empty() {
            out.push(';');
        }
        escape(&mut out, name);
        if !value.is_empty() {
            out.push('=');
            escape(&mut out, value);
        }
    }
    out
}
