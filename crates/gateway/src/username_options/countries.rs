//! Countries by their English names, as vendors write them that do not use the two letters: `UnitedStates`.

/// Name and code (ISO 3166-1 alpha-2) of each country, without blanks, in lower case.
const NAMES: &str = "\
    afghanistan:af albania:al algeria:dz andorra:ad angola:ao argentina:ar armenia:am aruba:aw australia:au \
    austria:at azerbaijan:az bahamas:bs bahrain:bh bangladesh:bd barbados:bb belarus:by belgium:be belize:bz \
    benin:bj bermuda:bm bhutan:bt bolivia:bo bosniaandherzegovina:ba botswana:bw brazil:br brunei:bn bulgaria:bg \
    burkinafaso:bf burundi:bi cambodia:kh cameroon:cm canada:ca capeverde:cv centralafricanrepublic:cf chad:td \
    chile:cl china:cn colombia:co comoros:km congo:cg costarica:cr croatia:hr cuba:cu curacao:cw cyprus:cy \
    czechia:cz czechrepublic:cz denmark:dk djibouti:dj dominica:dm dominicanrepublic:do ecuador:ec egypt:eg \
    elsalvador:sv equatorialguinea:gq eritrea:er estonia:ee eswatini:sz ethiopia:et fiji:fj finland:fi france:fr \
    gabon:ga gambia:gm georgia:ge germany:de ghana:gh gibraltar:gi greece:gr greenland:gl grenada:gd guadeloupe:gp \
    guam:gu guatemala:gt guinea:gn guyana:gy haiti:ht honduras:hn hongkong:hk hungary:hu iceland:is india:in \
    indonesia:id iran:ir iraq:iq ireland:ie israel:il italy:it ivorycoast:ci jamaica:jm japan:jp jordan:jo \
    kazakhstan:kz kenya:ke kosovo:xk kuwait:kw kyrgyzstan:kg laos:la latvia:lv lebanon:lb lesotho:ls liberia:lr \
    libya:ly liechtenstein:li lithuania:lt luxembourg:lu macao:mo macau:mo macedonia:mk northmacedonia:mk \
    madagascar:mg malawi:mw malaysia:my maldives:mv mali:ml malta:mt martinique:mq mauritania:mr mauritius:mu \
    mexico:mx moldova:md monaco:mc mongolia:mn montenegro:me morocco:ma mozambique:mz myanmar:mm namibia:na nepal:np \
    netherlands:nl newcaledonia:nc newzealand:nz nicaragua:ni niger:ne nigeria:ng norway:no oman:om pakistan:pk \
    palestine:ps panama:pa papuanewguinea:pg paraguay:py peru:pe philippines:ph poland:pl portugal:pt puertorico:pr \
    qatar:qa reunion:re romania:ro russia:ru rwanda:rw saudiarabia:sa senegal:sn serbia:rs seychelles:sc \
    sierraleone:sl singapore:sg slovakia:sk slovenia:si somalia:so southafrica:za southkorea:kr korea:kr \
    southsudan:ss spain:es srilanka:lk sudan:sd suriname:sr sweden:se switzerland:ch syria:sy taiwan:tw \
    tajikistan:tj tanzania:tz thailand:th togo:tg trinidadandtobago:tt tunisia:tn turkey:tr turkiye:tr \
    turkmenistan:tm uganda:ug ukraine:ua unitedarabemirates:ae unitedkingdom:gb unitedstates:us uruguay:uy \
    uzbekistan:uz venezuela:ve vietnam:vn yemen:ye zambia:zm zimbabwe:zw";

/// The country with this name; case, blanks and underscores do not matter.
pub(super) fn named(text: &str) -> Option<[u8; 2]> {
    let wanted: String = text.chars().filter(|c| !matches!(c, ' ' | '_')).collect();
    let (_, code) = NAMES
        .split_ascii_whitespace()
        .filter_map(|entry| entry.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case(&wanted))?;
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    Some(code.map(|letter| letter.to_ascii_uppercase()))
}

/// Whether the text stands for all countries.
pub(super) fn means_any(text: &str) -> bool {
    ["any", "all", "random", "worldwide", "global", "rr"].iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_code_and_is_found() {
        let entries: Vec<_> = NAMES.split_ascii_whitespace().collect();
        assert!(entries.len() > 190);
        for entry in entries {
            let (name, code) = entry.split_once(':').unwrap();
            assert_eq!(named(name).map(|code| code.map(|b| b.to_ascii_lowercase())).unwrap(), code.as_bytes());
        }
        assert_eq!(named("United_States"), Some(*b"US"));
        assert_eq!(named("Atlantis"), None);
    }
}
