//! One order of a certificate: the account, the challenges, the certificate (RFC 8555, section 7.4).

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use anyhow::Context;
use hezar_accept::{Certificate, CertificateSlot, PortTls, read_root_certificates};
use hezar_engine::{Dialer, TlsClients};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};

use super::{challenge_server, directory_client::DirectoryClient, storage::AcmeStorage};

/// How long the server may take to check the challenges, and to make the certificate.
const PATIENCE: Duration = Duration::from_secs(120);
/// The problem of an account that a server does not know (RFC 8555, section 6.7).
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// The server has refused an order, or did not accept an answer to a challenge.
#[derive(Debug)]
struct RefusedOrder(String);

impl fmt::Display for RefusedOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RefusedOrder {}

/// Whether an order failed because the server has said no, which it may count.
pub(super) fn is_refusal(error: &anyhow::Error) -> bool {
    error.is::<RefusedOrder>() || matches!(error.downcast_ref::<Error>(), Some(Error::Api(_)))
}

/// Orders a certificate for these names, and returns its chain and its key (PEM).
///
/// # Errors
/// The server cannot be reached or refuses, what it gave cannot be used, or the data folder cannot be written.
pub(super) async fn certificate(
    settings: &PortTls,
    names: &[String],
    slot: &Arc<CertificateSlot>,
    storage: &AcmeStorage,
    dialer: &Arc<dyn Dialer>,
) -> anyhow::Result<(String, String)> {
    let roots = match &settings.acme_ca {
        Some(file) => read_root_certificates(file).context("acme_ca")?,
        None => Vec::new(),
    };
    let client = DirectoryClient::new(Arc::clone(dialer), TlsClients::new(&roots));
    let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
    let wanted = NewOrder::new(&identifiers);
    let mut order = match account(settings, storage, &client).await?.new_order(&wanted).await {
        Err(error) if is_unknown_account(&error) => {
            storage.forget_account(settings.directory());
            account(settings, storage, &client).await?.new_order(&wanted).await?
        }
        order => order?,
    };
    let answered = answer_challenges(settings, slot, &mut order).await;
    slot.clear_challenges();
    answered?;
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&RetryPolicy::new().timeout(PATIENCE)).await?;
    Ok((chain, key))
}

/// The account that is kept, or a new one.
async fn account(settings: &PortTls, storage: &AcmeStorage, client: &DirectoryClient) -> anyhow::Result<Account> {
    let directory = settings.directory();
    let kept = storage.account(directory).and_then(|text| serde_json::from_str::<AccountCredentials>(&text).ok());
    let builder = Account::builder_with_http(Box::new(client.clone()));
    if let Some(kept) = kept {
        return Ok(builder.from_credentials(kept).await?);
    }
    let contact = settings.acme_email.as_ref().map(|email| format!("mailto:{email}"));
    let contacts: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, directory.to_owned(), None).await?;
    let text = serde_json::to_string(&credentials)?;
    storage.keep_account(directory, &text).context("the account cannot be written to the data folder")?;
    Ok(account)
}

fn is_unknown_account(error: &Error) -> bool {
    matches!(error, Error::Api(Problem { r#type: Some(kind), .. }) if kind == UNKNOWN_ACCOUNT)
}

/// Proves to the server that we answer for the names.
async fn answer_challenges(settings: &PortTls, slot: &Arc<CertificateSlot>, order: &mut Order) -> anyhow::Result<()> {
    let texts = prepare_answers(settings, slot, order).await?;
    let _server = match settings.acme_http {
        Some(address) => Some(challenge_server::serve(address, Arc::new(texts)).await?),
        None => None,
    };
    let wanted = challenge_type(settings);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Pending
            && let Some(mut challenge) = authorization.challenge(wanted.clone())
        {
            challenge.set_ready().await?;
        }
    }
    match order.poll_ready(&RetryPolicy::new().timeout(PATIENCE)).await? {
        OrderStatus::Ready | OrderStatus::Valid => Ok(()),
        _ => Err(RefusedOrder(refusal(order).await).into()),
    }
}

fn challenge_type(settings: &PortTls) -> ChallengeType {
    if settings.acme_http.is_some() { ChallengeType::Http01 } else { ChallengeType::TlsAlpn01 }
}

/// Makes the answers to all challenges ready: the certificates of TLS-ALPN-01 in `slot`, or the texts of HTTP-01, which are
/// returned by their tokens.
async fn prepare_answers(
    settings: &PortTls,
    slot: &Arc<CertificateSlot>,
    order: &mut Order,
) -> anyhow::Result<HashMap<String, String>> {
    let wanted = challenge_type(settings);
    let mut texts = HashMap::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status => return Err(RefusedOrder(format!("an authorization is {status:?}")).into()),
        }
        let Some(challenge) = authorization.challenge(wanted.clone()) else {
            return Err(RefusedOrder(format!("it offers no challenge of the kind {wanted:?}")).into());
        };
        let answer = challenge.key_authorization();
        if settings.acme_http.is_some() {
            texts.insert(challenge.token.clone(), answer.as_str().to_owned());
            continue;
        }
        let name = challenge.identifier().to_string();
        let proof = Certificate::answering_challenge(&name, answer.digest().as_ref())?;
        slot.set_challenge(&name, &proof);
    }
    Ok(texts)
}

/// Why an order is not ready, in the words of the server.
async fn refusal(order: &mut Order) -> String {
    let mut reasons: Vec<String> = order.state().error.iter().map(ToString::to_string).collect();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // The state from before the check says nothing of its outcome.
        let Ok(state) = authorization.refresh().await else { continue };
        reasons
            .extend(state.challenges.iter().filter_map(|challenge| challenge.error.as_ref()).map(ToString::to_string));
    }
    if reasons.is_empty() {
        "the order is not ready, and the server does not say why".to_owned()
    } else {
        reasons.join("; ")
    }
}
