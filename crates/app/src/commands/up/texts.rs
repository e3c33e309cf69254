//! What `hezar up` says, in English and in Persian.

use std::fmt::Display;

/// The texts of one language; `{}` stands for a value.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) ask: &'static str,
    pub(super) ask_again: &'static str,
    pub(super) found: &'static str,
    pub(super) ports: &'static str,
    pub(super) source: &'static str,
    pub(super) source_fails: &'static str,
    pub(super) nothing_works: &'static str,
    pub(super) private: &'static str,
    pub(super) keep_anyway: &'static str,
    pub(super) nothing_written: &'static str,
    pub(super) kept: &'static str,
    pub(super) kept_running: &'static str,
    pub(super) written: &'static str,
    pub(super) added: &'static str,
    pub(super) service: &'static str,
    pub(super) start_later: &'static str,
    pub(super) works: &'static str,
    pub(super) through: &'static str,
    pub(super) not_yet: &'static str,
    pub(super) browser: &'static str,
    pub(super) terminal: &'static str,
    pub(super) telegram: &'static str,
    pub(super) phone: &'static str,
    pub(super) no_phone: &'static str,
    pub(super) page: &'static str,
}

static ENGLISH: Texts = Texts {
    ask: "Paste the address of a subscription, share links, or a chat with links in it, and end with an empty line.\n\
          An empty line alone uses public lists.",
    ask_again: "Paste more subscriptions or links and end with an empty line; an empty line alone goes on with what is configured.",
    found: "found: links {}, addresses {}",
    ports: "the usual port is in use: the proxy gets port {}",
    source: "  {}: {}",
    source_fails: "  {}: nothing, {}",
    nothing_works: "nothing works: {}",
    private: "servers of this machine or network are taken with --allow-private only",
    keep_anyway: "Keep it, and start all the same? Nodes are checked again and again.",
    nothing_written: "nothing was written",
    kept: "kept in {}; `hezar run` starts it all the same, and checks the nodes again and again",
    kept_running: "kept in {}; the instance that runs checks the nodes again and again",
    written: "wrote {}",
    added: "added to {}: {}",
    service: "Start it now and after every restart of this machine (a service)?",
    start_later: "start it with: {}",
    works: "Hezar works. Nodes that carry traffic: {} of {}.",
    through: "A request went out through {}.",
    not_yet: "Hezar runs, and nothing works yet: {}",
    browser: "browser    HTTP proxy {}, port {}",
    terminal: "terminal   export ALL_PROXY=socks5h://{} HTTP_PROXY=http://{} HTTPS_PROXY=http://{}",
    telegram: "Telegram   {}",
    phone: "phone      {}, port {}, user {}, password {} (HTTP or SOCKS5)",
    no_phone: "phone      `hezar up --lan` opens the proxy to the phones of this network",
    page: "page       `hezar page`",
};

static PERSIAN: Texts = Texts {
    ask: "نشانی اشتراک، لینک‌ها یا متن یک گفت‌وگو را که لینک دارد بچسبانید و با یک خط خالی تمام کنید.\n\
          اگر فقط خط خالی بدهید، فهرست‌های عمومی به کار می‌روند.",
    ask_again: "اشتراک یا لینک تازه بچسبانید و با یک خط خالی تمام کنید؛ خط خالیِ تنها یعنی ادامه با همان تنظیمات.",
    found: "پیدا شد: لینک {}، نشانی {}",
    ports: "درگاه همیشگی اشغال است: پروکسی درگاه {} را می‌گیرد",
    source: "  {}: {}",
    source_fails: "  {}: هیچ، {}",
    nothing_works: "هیچ‌چیز کار نمی‌کند: {}",
    private: "سرورهای همین دستگاه یا شبکه تنها با --allow-private پذیرفته می‌شوند",
    keep_anyway: "با این حال نگه داشته و اجرا شود؟ نودها پیوسته دوباره آزموده می‌شوند.",
    nothing_written: "چیزی نوشته نشد",
    kept: "در {} نگه داشته شد؛ دستور `hezar run` آن را با این حال اجرا می‌کند و نودها را پیوسته می‌آزماید",
    kept_running: "در {} نگه داشته شد؛ هزار که در حال اجراست نودها را پیوسته می‌آزماید",
    written: "نوشته شد: {}",
    added: "به {} افزوده شد: {}",
    service: "اکنون و پس از هر بار روشن شدن این دستگاه خودکار اجرا شود (سرویس)؟",
    start_later: "اجرا با: {}",
    works: "هزار کار می‌کند. نودهایی که ترافیک می‌برند: {} از {}.",
    through: "یک درخواست از {} بیرون رفت.",
    not_yet: "هزار اجرا شده و هنوز چیزی کار نمی‌کند: {}",
    browser: "مرورگر     HTTP proxy {}, port {}",
    terminal: "ترمینال    export ALL_PROXY=socks5h://{} HTTP_PROXY=http://{} HTTPS_PROXY=http://{}",
    telegram: "تلگرام     {}",
    phone: "گوشی       {}, port {}, user {}, password {} (HTTP / SOCKS5)",
    no_phone: "گوشی       `hezar up --lan` پروکسی را برای گوشی‌های همین شبکه باز می‌کند",
    page: "صفحه       `hezar page`",
};

impl Texts {
    /// The language of the environment (POSIX: `LC_ALL` before `LC_MESSAGES` before `LANG`).
    pub(super) fn of_environment() -> &'static Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
        Self::of_locale(&locale)
    }

    fn of_locale(locale: &str) -> &'static Self {
        let language = locale.split(['_', '.', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("fa") { &PERSIAN } else { &ENGLISH }
    }
}

/// A text with values in its places, in their order.
pub(super) fn fill(text: &str, values: &[&dyn Display]) -> String {
    let mut values = values.iter();
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(value) = values.next() {
            filled.push_str(&value.to_string());
        }
        filled.push_str(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_chooses_the_language() {
        for (locale, is_persian) in
            [("fa_IR.UTF-8", true), ("fa", true), ("en_US.UTF-8", false), ("fat", false), ("", false)]
        {
            assert_eq!(std::ptr::eq(Texts::of_locale(locale), &raw const PERSIAN), is_persian, "{locale}");
        }
    }

    #[test]
    fn both_languages_have_the_same_places_for_values() {
        // `Debug` names every field, so none is forgotten here.
        let places = |texts: &Texts| -> Vec<usize> {
            format!("{texts:#?}").lines().map(|line| line.matches("{}").count()).collect()
        };
        assert_eq!(places(&ENGLISH), places(&PERSIAN));
        assert_eq!(fill("a {} b {}.", &[&1, &"x"]), "a 1 b x.");
    }
}
